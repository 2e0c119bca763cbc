// SPDX-License-Identifier: Apache-2.0

// The Ginkgo suites run real guests through the command itself, so that what
// is tested is what a user gets: exit codes, JSON, run directories.
//
//	make vm
//	ginkgo --label-filter='pseries && smoke' ./suites
package suites_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

func TestSuites(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "plugstorm on real guests")
}

// plugstormPath is the command under test.
var plugstormPath string

var _ = SynchronizedBeforeSuite(func() []byte {
	path, err := gexec.Build("plugstorm/harness/cmd/plugstorm")
	Expect(err).NotTo(HaveOccurred())
	return []byte(path)
}, func(path []byte) { plugstormPath = string(path) })

var _ = SynchronizedAfterSuite(func() {}, gexec.CleanupBuildArtifacts)
