// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/books"
	"plugstorm/harness/history"
	"plugstorm/harness/vm/vmtest"
)

// healthy is what a real guest said.
func healthy(t *testing.T) agent.BooksReply {
	t.Helper()
	text, err := os.ReadFile("../books/testdata/x86_64-no-dimm.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := books.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.Samples[0].Guest
}

// reports lists the books that a run has recorded.
func reports(t *testing.T, r *record) []books.Report {
	t.Helper()
	var all []books.Report
	for _, e := range r.Events {
		if e.Type == history.Books {
			report, err := books.Read([]byte(e.Text))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, report)
		}
	}
	return all
}

// TestBooks: what passes is asked again until it has passed, what stays is
// recorded as it is, with what is plugged, and workloads have ended before.
func TestBooks(t *testing.T) {
	for name, tt := range map[string]struct {
		settles, samples, silent int // after how many samples
		takes                    time.Duration
	}{
		"right":             {samples: 1},
		"right in the end":  {settles: 7, samples: 8},
		"never right":       {settles: 1 << 20, samples: 20},
		"slowly, and never": {settles: 1 << 20, samples: 5, takes: time.Second},
		"silent too early":  {settles: 1 << 20, silent: 3},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			good, bad := healthy(t), healthy(t)
			bad.Dirs = append(slices.Clone(bad.Dirs), agent.BooksDir{Path: "devices/system/node/node0", Lost: []string{"cpu9"}})
			p := play{duration: 10 * time.Second, character: func(int) vmtest.Character {
				return vmtest.Character{Methods: map[string]vmtest.Handler{
					agent.MethodBooks: func(*vmtest.Guest, json.RawMessage) (any, error) {
						time.Sleep(tt.takes)
						asked++
						if tt.silent > 0 && asked > tt.silent {
							return nil, vmtest.ErrNoAnswer
						}
						if asked <= tt.settles {
							return bad, nil
						}
						return good, nil
					},
				}}
			}}
			r := p.perform(t)
			all := reports(t, r)
			if tt.samples == 0 {
				if asked <= tt.silent || len(all) != 0 {
					t.Errorf("asked %d times, %+v", asked, all)
				}
				return
			}
			if len(all) != 1 || !all[0].Quiet || all[0].BootBytes == 0 {
				t.Fatalf("%+v", all)
			}
			if got := len(all[0].Samples); got != tt.samples {
				t.Errorf("%d samples", got)
			}
			if q := all[0].Samples[0].QEMU; q == nil || q.VCPUs == 0 {
				t.Errorf("plugged: %+v", q)
			}
			kinds := []history.Type{}
			for _, e := range r.Events {
				kinds = append(kinds, e.Type)
			}
			if w, b := slices.Index(kinds, history.Workload), slices.Index(kinds, history.Books); w < 0 || b < w {
				t.Errorf("workloads were not stopped before: %v", kinds)
			}
			complaints, err := books.Check(all[0])
			if err != nil || slices.ContainsFunc(complaints, func(c books.Complaint) bool { return c.Invariant == books.LostLinks }) != (tt.settles > tt.samples) {
				t.Errorf("%+v, %v", complaints, err)
			}
		})
	}
}

// TestNoBooks: a guest whose kernel is not itself any more is not asked, one
// that only lockdep has left is.
func TestNoBooks(t *testing.T) {
	for name, tt := range map[string]struct {
		says string
		want int
	}{
		"oops":    {says: "[   15.0][   T12] Kernel panic - not syncing: Fatal exception\n"},
		"lockdep": {says: "[   15.0][   T12] WARNING: possible circular locking dependency detected\n[   15.0][   T12] 6.12.117 Not tainted\n", want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			good := healthy(t)
			r := play{duration: 30 * time.Second,
				character: func(int) vmtest.Character {
					return vmtest.Character{Methods: map[string]vmtest.Handler{
						agent.MethodBooks: func(*vmtest.Guest, json.RawMessage) (any, error) { return good, nil },
					}}
				},
				scene: func(n int, g *vmtest.Guest) {
					if n == 1 {
						time.AfterFunc(15*time.Second, func() { g.Print(tt.says) })
					}
				},
			}.perform(t)
			got := 0
			for _, e := range r.Events {
				if e.Type == history.Books && e.Guest == 1 {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("the first guest was asked %d times, want %d", got, tt.want)
			}
		})
	}
}
