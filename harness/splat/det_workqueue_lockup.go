// SPDX-License-Identifier: Apache-2.0

package splat

// WorkqueueLockup reads reports about worker pools that don't make progress.
var WorkqueueLockup = register(&Detector{
	Name: "workqueue_lockup",
	Doc: "A worker pool that hasn't made progress for watchdog_thresh seconds (kernel/workqueue.c wq_watchdog_timer_fn). " +
		"Identity: only that there was one; its victims differ.",
	Anchors: []string{"workqueue lockup"},
	Begins:  matching(`BUG: workqueue lockup`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Title = TypeNone, "BUG: workqueue lockup"
		f.Stack = r.traceStack(0)
		f.Identity = "workqueue_lockup"
	},
})
