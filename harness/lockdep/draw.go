// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

const (
	drawnFrames = 6  // of each stack
	drawnWidth  = 75 // columns, for mails
)

// Draw draws the dependency chain and the scenario the way lockdep does, with
// normalised names and trimmed stacks, and without time stamps. It is "" for
// the kinds that have neither. Lines end in newlines and hold printable text.
func (r *Report) Draw() string {
	var b strings.Builder
	r.drawUsages(&b)
	r.drawChain(&b)
	r.drawExists(&b)
	r.drawScenario(&b)
	return b.String()
}

// drawUsages draws where the usages that exclude each other were seen.
func (r *Report) drawUsages(b *strings.Builder) {
	for _, u := range r.Usages {
		fmt.Fprintf(b, "(%s) was used as {%s} at:\n", u.Class, u.State)
		for _, fn := range drawnStack(Link{Stack: u.Stack, Site: Site(u.Stack)}) {
			fmt.Fprintf(b, "       %s\n", fn)
		}
		b.WriteString("\n")
	}
}

// drawChain draws the links, the latest first, as print_circular_bug does.
func (r *Report) drawChain(b *strings.Builder) {
	if len(r.Chain) < 2 {
		return
	}
	if r.Kind.irqOrder() {
		fmt.Fprintf(b, "the dependencies between the %s-safe and the %s-unsafe lock (in reverse order):\n", r.Usage, r.Usage)
	} else {
		b.WriteString("the existing dependency chain (in reverse order) is:\n")
	}
	for i := len(r.Chain) - 1; i >= 0; i-- {
		l := r.Chain[i]
		fmt.Fprintf(b, "\n-> #%d (%s)%s:\n", i, l.Class, drawnMode(l.Mode))
		for _, fn := range drawnStack(l) {
			fmt.Fprintf(b, "       %s\n", fn)
		}
	}
	b.WriteString("\n")
}

func drawnMode(m Mode) string {
	if m == Read || m == Write {
		return " " + string(m)
	}
	return ""
}

// drawnStack returns the frames to draw: the top of the stack, and where the
// way to the lock is long, its end too.
func drawnStack(l Link) []string {
	const top = 2
	stack := trimmed(l.Stack)
	if len(stack) <= drawnFrames {
		return stack
	}
	site := slices.IndexFunc(stack, func(fn string) bool { return frame.Bare(fn) == l.Site })
	if site < drawnFrames-1 {
		return append(slices.Clone(stack[:drawnFrames]), "...")
	}
	end := min(site+drawnFrames-top, len(stack))
	drawn := slices.Concat(stack[:top], []string{"..."}, stack[site:end])
	if end < len(stack) {
		drawn = append(drawn, "...")
	}
	return drawn
}

// drawExists draws the classes in order. Unlike lockdep, which leaves all but
// three out, it draws them all, and shows the cycle closed.
func (r *Report) drawExists(b *strings.Builder) {
	nodes := r.nodes()
	if len(nodes) == 0 || r.Kind != Circular && !r.Kind.irqOrder() {
		return
	}
	nodes = append(nodes, r.Edges[len(r.Edges)-1].To)
	b.WriteString("Chain exists of:\n")
	line := " "
	for i, class := range nodes {
		if i > 0 {
			class = "--> " + class
		}
		if len(line)+1+len(class) > drawnWidth && line != " " {
			b.WriteString(line + "\n")
			line = "   "
		}
		line += " " + class
	}
	b.WriteString(line + "\n\n")
}

// drawScenario draws the kernel's scenario, or where that is lost the one that
// follows from the chain.
func (r *Report) drawScenario(b *strings.Builder) {
	steps := r.Steps
	if len(steps) == 0 {
		steps = r.steps()
	}
	if len(steps) == 0 {
		return
	}
	two := slices.ContainsFunc(steps, func(s Step) bool { return s.CPU > 0 })
	word := ""
	if r.Kind.irqOrder() {
		word = "interrupt "
	}
	fmt.Fprintf(b, " Possible %sunsafe locking scenario:\n\n", word)
	if two {
		b.WriteString("       CPU0                    CPU1\n       ----                    ----\n")
	} else {
		b.WriteString("       CPU0\n       ----\n")
	}
	for _, s := range steps {
		b.WriteString(s.draw() + "\n")
	}
	b.WriteString("\n *** DEADLOCK ***\n")
}

func (s Step) draw() string {
	indent := "  "
	if s.CPU > 0 {
		indent = strings.Repeat(" ", 31)
	}
	if s.In {
		indent += "  "
	}
	switch s.Do {
	case "interrupt":
		return indent + "<Interrupt>"
	case "local_irq_disable":
		return indent + "local_irq_disable();"
	}
	return fmt.Sprintf("%s%s(%s);", indent, s.Do, s.Class)
}

// steps makes the scenario that print_circular_lock_scenario would.
func (r *Report) steps() []Step {
	nodes := r.nodes()
	switch {
	case r.Kind == Recursive && len(r.Edges) == 1:
		return []Step{{Do: "lock", Class: r.Edges[0].From}, {Do: "lock", Class: r.Edges[0].To}}
	case r.Kind != Circular || len(nodes) < 2:
		return nil
	}
	first, parent, last := nodes[0], nodes[len(nodes)-2], nodes[len(nodes)-1]
	return []Step{{Do: "lock", Class: last}, {CPU: 1, Do: "lock", Class: parent}, {CPU: 1, Do: "lock", Class: last}, {Do: "lock", Class: first}}
}
