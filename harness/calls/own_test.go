// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFallible(t *testing.T) {
	got, spare, err := parseFallible(`# mm/a.c:f
f ENOMEM,NULL as=g,h except=k arg=MEM_GOING_ONLINE machine=x86_64 last
# mm/b.c:s
spare s,t
`, "test")
	want := []fallible{{
		site:  Site{Func: "f", Errnos: []string{"ENOMEM", "NULL"}, Nth: 1, Arg: "MEM_GOING_ONLINE", Machines: []string{"x86_64"}, Last: true, Source: "mm/a.c:f"},
		names: []string{"f", "g", "h"}, except: []string{"k"},
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fallible{})); diff != "" || err != nil || !slices.Equal(spare, []string{"s", "t"}) {
		t.Errorf("%v, %v\n%s", spare, err, diff)
	}
	for _, line := range []string{"f", "spare", "f EWHAT", "f<g ENOMEM", "f<<g ENOMEM", "f ENOMEM twice", "f ENOMEM nth=0"} {
		if _, _, err := parseFallible("# why\n"+line, "test"); err == nil || !strings.Contains(err.Error(), "test: line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, _, err := parseFallible("f ENOMEM", "test"); err == nil {
		t.Error("a line without a source is taken")
	}
}

// TestFallibles: each line is there once for an argument, and says a kernel file.
func TestFallibles(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range fallibles {
		if key := f.site.Func + f.site.Arg; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		if !regexp.MustCompile(`^[a-z0-9/_-]+\.c:\w+`).MatchString(f.site.Source) {
			t.Errorf("%s: the comment doesn't begin with a kernel file and a function: %q", f.site.Func, f.site.Source)
		}
		if slices.Contains(f.site.Errnos, "SIGNAL") || f.site.Nth != 1 || len(f.site.Ops) > 0 {
			t.Errorf("%+v", f.site)
		}
	}
	if len(fallibles) < 40 || len(spared) == 0 {
		t.Errorf("%d lines, %d callers are spared", len(fallibles), len(spared))
	}
}

// TestOwn: what the source calls by another name is found; what can't fail, isn't
// this machine's or kernel's, or is spared, is no site; callers have their turns.
func TestOwn(t *testing.T) {
	callees := map[string][]string{
		"acpi_processor_add": {"kzalloc", "acpi_bind_one", "device_attach", "dlpar_acquire_drc", "kmemdup"},
		"f":                  {"kthread_run"},
		"register_node":      {"device_add"},
		"kobject_add":        {"kobject_add"},
		"f;g":                {"device_add"},
	}
	callers := []string{"acpi_processor_add", "f", "register_node", "kobject_add", "f;g", "none"}
	for machine, want := range map[string]string{
		"x86_64":  "__kmalloc<<acpi_processor_add kthread_create_on_node<<f __kmalloc_cache<<acpi_processor_add acpi_bind_one<<acpi_processor_add",
		"pseries": "__kmalloc<<acpi_processor_add kthread_create_on_node<<f __kmalloc_cache<<acpi_processor_add dlpar_acquire_drc<<acpi_processor_add",
	} {
		sites := Own(callers, callees, machine, func(name string) bool { return name != "kmemdup" })
		if got := strings.Join(Names(sites), " "); got != want {
			t.Errorf("%s: %s\nwant %s", machine, got, want)
		}
		for _, s := range sites {
			if s.Last != strings.HasPrefix(s.Func, "acpi_bind_one") {
				t.Errorf("%+v", s)
			}
		}
	}
	if (Site{Func: "f<<g"}).Caller() != "g" || (Site{Func: "f<g"}).Caller() != "g" || (Site{Func: "f"}).Caller() != "" {
		t.Error("the caller isn't known")
	}
	if (Call{Func: "f<g"}).Own() || !(Call{Func: "f<<g"}).Own() {
		t.Error("whose call it is isn't known")
	}
}

// TestOwnBounded: a huge patch doesn't use up the module's probes.
func TestOwnBounded(t *testing.T) {
	callees := map[string][]string{}
	var callers []string
	for i := range 3 * maxOwn {
		callers = append(callers, fmt.Sprint("f", i))
		callees[callers[i]] = []string{"device_add", "kzalloc"}
	}
	if got := Own(callers, callees, "x86_64", func(string) bool { return true }); len(got) != maxOwn {
		t.Errorf("%d sites", len(got))
	}
	if probes := 256; len(Sites)+maxOwn > probes { // FAIL_PROBES
		t.Errorf("the module keeps %d probes, and there may be %d sites", probes, len(Sites)+maxOwn)
	}
}
