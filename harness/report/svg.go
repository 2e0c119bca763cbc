// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"plugstorm/harness/triage"
)

// Measures of the drawing, in SVG's user units.
const (
	charWidth  = 7.3 // of a monospaced 12 px letter, amply
	lineHeight = 16.0
	boxMargin  = 8.0
	panelWidth = 900.0
	titleSpace = 40.0
	edgeSpace  = 90.0 // between the circle and the border
	bend       = 28.0 // how far an arrow leaves the straight line, so that two opposite ones are two
)

// SVG draws the lock cycles and wait-for graphs of a log: the nodes of each on
// a circle, one complaint below the other. The same log makes the same bytes.
func SVG(w io.Writer, l *triage.Log) error {
	all := diagrams(l)
	height := 0.0
	for _, d := range all {
		height += d.height()
	}
	s := &svg{}
	s.f(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="monospace" font-size="12">`+"\n",
		panelWidth, height, panelWidth, height)
	s.f(`<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse">` +
		`<path d="M0 0L10 5L0 10z" fill="#333333"/></marker></defs>` + "\n")
	s.f(`<rect width="100%%" height="100%%" fill="#ffffff"/>` + "\n")
	top := 0.0
	for _, d := range all {
		s.diagram(d, top)
		top += d.height()
	}
	s.f("</svg>\n")
	_, err := io.WriteString(w, s.b.String())
	return err
}

// radius is that of the circle on which the nodes stand.
func (d diagram) radius() float64 { return max(110, 38*float64(len(d.nodes))) }

func (d diagram) height() float64 { return titleSpace + 2*(d.radius()+edgeSpace) }

// A box is a node in its place.
type box struct{ x, y, w, h float64 }

// layout places the nodes on a circle, the first one on top, clockwise.
func (d diagram) layout(top float64) []box {
	boxes := make([]box, len(d.nodes))
	r := d.radius()
	for i, n := range d.nodes {
		angle := 2*math.Pi*float64(i)/float64(len(d.nodes)) - math.Pi/2
		chars := max(utf8.RuneCountInString(n.label), utf8.RuneCountInString(n.detail))
		h := lineHeight + 2*boxMargin
		if n.detail != "" {
			h += lineHeight
		}
		boxes[i] = box{
			x: panelWidth/2 + 1.4*r*math.Cos(angle), y: top + titleSpace + edgeSpace + r + r*math.Sin(angle),
			w: float64(chars)*charWidth + 2*boxMargin, h: h,
		}
		boxes[i].x = min(max(boxes[i].x, boxes[i].w/2+4), panelWidth-boxes[i].w/2-4)
	}
	return boxes
}

type svg struct{ b strings.Builder }

func (s *svg) f(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

// text writes one line of text. It is the only place that takes words from a log.
func (s *svg) text(x, y float64, attributes, words string) {
	s.f(`<text x="%.1f" y="%.1f" text-anchor="middle"%s>`, x, y, attributes)
	_ = xml.EscapeText(&s.b, []byte(words)) // a strings.Builder takes everything
	s.f("</text>\n")
}

func (s *svg) diagram(d diagram, top float64) {
	s.text(panelWidth/2, top+24, ` font-size="15" font-weight="bold"`, d.title)
	boxes := d.layout(top)
	for _, a := range d.arrows {
		s.arrow(a, boxes[a.from], boxes[a.to])
	}
	for i, n := range d.nodes {
		b := boxes[i]
		s.f(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4" fill="#f6f6f6" stroke="%s"/>`+"\n", b.x-b.w/2, b.y-b.h/2, b.w, b.h, stroke(n.marked))
		if n.detail == "" {
			s.text(b.x, b.y+4, "", n.label)
			continue
		}
		s.text(b.x, b.y-4, "", n.label)
		s.text(b.x, b.y+lineHeight-4, ` fill="#555555"`, n.detail)
	}
}

func stroke(marked bool) string {
	if marked {
		return "#b00020"
	}
	return "#555555"
}

func (s *svg) arrow(a arrow, from, to box) {
	dash := ""
	if a.guessed {
		dash = ` stroke-dasharray="6 4"`
	}
	style := fmt.Sprintf(`fill="none" stroke="%s"%s marker-end="url(#head)"`, stroke(a.marked), dash)
	if a.from == a.to {
		y := from.y + from.h/2
		s.f(`<path d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f" %s/>`+"\n", from.x-20, y, from.x-50, y+60, from.x+50, y+60, from.x+20, y, style)
		s.word(a.label, from.x, y+62)
		return
	}
	// The control point lies to the left of the straight line, seen along it: for
	// the steps of a cycle, which goes clockwise, that is outside.
	dx, dy := to.x-from.x, to.y-from.y
	length := max(1, math.Hypot(dx, dy))
	mid := box{x: (from.x+to.x)/2 + bend*2*dy/length, y: (from.y+to.y)/2 - bend*2*dx/length}
	start, end := from.border(mid), to.border(mid)
	s.f(`<path d="M%.1f %.1fQ%.1f %.1f %.1f %.1f" %s/>`+"\n", start.x, start.y, mid.x, mid.y, end.x, end.y, style)
	s.beside(a.label, box{x: (start.x + 2*mid.x + end.x) / 4, y: (start.y + 2*mid.y + end.y) / 4}, dx/length, dy/length)
}

// beside writes the label of an arrow next to its middle, on the outer side of
// the bend. (dx, dy) is the arrow's direction.
func (s *svg) beside(words string, at box, dx, dy float64) {
	half := float64(utf8.RuneCountInString(words)) * charWidth / 2
	switch {
	case dy > 0.4: // it leads down and bends to the right
		at.x += half + 6
	case dy < -0.4:
		at.x -= half + 6
	case dx > 0: // it bends up
		at.y -= 10
	default:
		at.y += 14
	}
	s.word(words, at.x, at.y+4)
}

// word writes the label of an arrow, moved so that it is inside the picture.
func (s *svg) word(words string, x, y float64) {
	half := float64(utf8.RuneCountInString(words)) * charWidth / 2
	s.text(min(max(x, half+4), panelWidth-half-4), y, ` paint-order="stroke" stroke="#ffffff" stroke-width="3"`, words)
}

// border returns where the line from the box's middle to p leaves the box.
func (b box) border(p box) box {
	dx, dy := p.x-b.x, p.y-b.y
	scale := 1.0
	if dx != 0 {
		scale = min(scale, b.w/2/math.Abs(dx))
	}
	if dy != 0 {
		scale = min(scale, b.h/2/math.Abs(dy))
	}
	return box{x: b.x + dx*scale, y: b.y + dy*scale}
}
