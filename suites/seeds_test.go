// SPDX-License-Identifier: Apache-2.0

package suites_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"plugstorm/images"
)

// everyTime are the hunts that `make vm` has, a quick one a seed: plants with the
// machine. All others are on demand.
var everyTime = map[string]string{"s0a": "pseries", "s1a": "x86_64", "s2c": "x86_64", "c13": "x86_64", "s4a": "x86_64"}

// Each plant is found by its seed's scenario on the machines that it concerns, and
// the finding is the right one; where it has no effect nothing is found. What is
// expected stands in the plant's header and nowhere else.
// `ginkgo --label-filter=seed1 ./suites` runs one seed alone.
var _ = Describe("a seed's scenario", func() {
	for _, p := range images.Plants() {
		for _, machine := range p.Expect.Machines {
			labels := Label(p.Expect.Suite, machine, p.ID, "plant")
			if everyTime[p.ID] != machine {
				labels = append(labels, "on-demand")
			}
			It(p.Expect.Suite+" finds "+p.ID+" on "+machine, labels, func() {
				r := detectOne(p.ID, machine)
				Expect(r.Detected).To(Equal(1), "detected")
				Expect(r.Expected).To(Equal(1), "its finding is the one that the header expects")
			})
		}
		for _, machine := range p.Expect.Silent {
			It(p.Expect.Suite+" is silent about "+p.ID+" on "+machine, Label(p.Expect.Suite, machine, p.ID, "plant", "on-demand"), func() {
				r := detectOne(p.ID, machine)
				Expect(r.Silent).To(BeTrue(), "a negative control")
				Expect(r.Missed).To(Equal(1), "nothing was found")
			})
		}
	}
})

// A detection is the part of `bench detect --json` that specs look at.
type detection struct {
	Machine                             string
	Silent                              bool
	Detected, Missed, Unknown, Expected int // of one
}

// detectOne hunts a plant once, and once more if the first run is unknown: whoever
// lost that guest, it says nothing about the plant. The lost run is kept.
func detectOne(plant, machine string) detection {
	GinkgoHelper()
	var r detection
	for range 2 {
		dir := newRunDir()
		cmd, out := start("bench", "detect", "--plant", plant, "--machine", machine, "--seeds", "1", "--budget", "120s", "--json", "--out", dir)
		code, _ := finish(cmd, out)
		var table struct{ Rows []detection }
		Expect(json.Unmarshal(out.Bytes(), &table)).To(Succeed(), out.String())
		i := slices.IndexFunc(table.Rows, func(r detection) bool { return r.Machine == machine })
		Expect(i).To(BeNumerically(">=", 0), "a row of "+machine)
		if r = table.Rows[i]; code != 3 {
			break
		}
		AddReportEntry("unknown", out.String())
		Expect(os.WriteFile(filepath.Join(filepath.Dir(dir), keepFile), nil, 0o644)).To(Succeed())
	}
	Expect(r.Unknown).To(BeZero(), "unknown runs")
	return r
}
