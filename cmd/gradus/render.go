package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/term"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Prose wraps where the terminal ends, within these bounds, in columns: longer
// lines are hard to read, and shorter ones hold no word.
const (
	widest    = 78
	narrowest = 30
)

// widthFor is where prose written to a file wraps.
func widthFor(f any) int {
	if file, ok := f.(interface{ Fd() uintptr }); ok {
		if columns, _, err := term.GetSize(file.Fd()); err == nil && columns > 0 {
			return min(max(columns, narrowest), widest)
		}
	}
	return widest // a pipe has no edge
}

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	middle = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

// marks show a verdict by shape and colour: never by colour alone.
var marks = map[judge.Verdict]struct {
	sign  string
	style lipgloss.Style
}{
	judge.Met:          {"✔", good},
	judge.Partial:      {"◐", middle},
	judge.Missed:       {"✘", bad},
	judge.Contradicted: {"≠", bad},
	judge.CannotAssess: {"?", faint},
}

// printGrade writes a grade for a person: standing first, then each criterion
// with its proof, the answer with that proof marked, and what to fix first.
func printGrade(tty *terminal, q *rubric.Question, answer string, g *grading.Grade) error {
	p := &page{width: tty.width}
	p.head(q, g)
	p.criteria(g)
	p.answer(answer, g)
	p.feedback(g)
	_, err := io.WriteString(tty.out, p.String())
	return err
}

// page is a text being put together, of lines of a width in columns.
type page struct {
	strings.Builder
	width int
}

func (p *page) line(parts ...string) {
	p.WriteString(strings.Join(parts, ""))
	p.WriteByte('\n')
}

// prose wraps a text and sets it off by an indent.
func (p *page) prose(indent int, style lipgloss.Style, text string) {
	pad := strings.Repeat(" ", indent)
	for line := range strings.SplitSeq(lipgloss.Wrap(plain(text), p.width-indent, ""), "\n") {
		p.line(pad, style.Render(strings.TrimRight(line, " ")))
	}
}

func (p *page) head(q *rubric.Question, g *grading.Grade) {
	score := "no score"
	if g.Score != nil {
		score = fmt.Sprintf("%.1f of 100, %s", *g.Score, *g.Band)
	}
	p.line(bold.Render(score), faint.Render("   "+g.QuestionID))
	p.prose(0, faint, q.Text)
	p.line()
	p.prose(0, lipgloss.NewStyle(), g.Feedback.Summary)
	if g.Provenance.Degraded {
		p.prose(0, middle, "The model could not be asked; the lexical judge stood in.")
	}
	if g.Review.Needed {
		p.prose(0, middle, "A person should look at this grade: "+words(g.Review.Reasons)+".")
	}
	if len(g.Integrity.Flags) > 0 {
		flags := make([]string, len(g.Integrity.Flags))
		for i, f := range g.Integrity.Flags {
			flags[i] = string(f)
		}
		p.prose(0, middle, "Noticed in the answer: "+words(flags)+".")
	}
	p.line()
}

func (p *page) criteria(g *grading.Grade) {
	p.line(bold.Render("Criteria"))
	for _, c := range g.Criteria {
		if c.Kind != rubric.Core && c.Credit == 0 {
			continue // a bonus not earned is not missing; a pitfall avoided is no news
		}
		mark := marks[c.Verdict]
		if c.Kind == rubric.Pitfall {
			mark = marks[judge.Missed]
		}
		points := fmt.Sprintf("%5.1f of %g", c.Weight*c.Credit, c.Weight)
		switch {
		case c.Verdict == judge.CannotAssess:
			points = fmt.Sprintf("    – of %g", c.Weight)
		case c.Kind == rubric.Bonus:
			points = fmt.Sprintf("%+5.1f bonus", c.Weight*c.Credit)
		case c.Kind == rubric.Pitfall:
			points = fmt.Sprintf("%+5.1f", c.Weight*c.Credit)
		}
		p.line("  ", mark.style.Render(mark.sign), " ", mark.style.Render(fmt.Sprintf("%-13s", label(c.Verdict))),
			fmt.Sprintf("%-14s", points), faint.Render(c.ID))
		p.prose(4, lipgloss.NewStyle(), c.Statement)
		for _, quote := range c.Evidence {
			p.prose(6, mark.style, "“"+quote.Text+"”")
		}
	}
	p.line()
}

// answer shows the answer with the proof marked: in colour on a terminal, and
// by brackets everywhere, so that a pipe and an eye without colours see it too.
func (p *page) answer(answer string, g *grading.Grade) {
	type edge struct {
		at    int
		text  string
		close bool
	}
	var edges []edge
	for _, c := range g.Criteria {
		if !c.Verdict.Credited() {
			continue
		}
		for _, q := range c.Evidence {
			edges = append(edges, edge{q.Start, "⟦", false}, edge{q.End, "⟧" + c.ID, true})
		}
	}
	if len(edges) == 0 {
		return
	}
	slices.SortStableFunc(edges, func(a, b edge) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		if a.close != b.close { // what ends here, ends before the next begins
			if a.close {
				return -1
			}
			return 1
		}
		return 0
	})
	p.line(bold.Render("Your answer, with the proof marked"))
	var b strings.Builder
	runes := []rune(answer)
	at, depth := 0, 0
	write := func(until int) {
		s := plain(string(runes[at:until]))
		if depth > 0 {
			s = eachLine(good, s)
		}
		b.WriteString(s)
		at = until
	}
	for _, e := range edges {
		write(e.at)
		b.WriteString(faint.Render(e.text))
		if e.close {
			depth--
		} else {
			depth++
		}
	}
	write(len(runes))
	for line := range strings.SplitSeq(lipgloss.Wrap(b.String(), p.width-2, ""), "\n") {
		p.line("  ", strings.TrimRight(line, " "))
	}
	p.line()
}

func (p *page) feedback(g *grading.Grade) {
	if len(g.Feedback.Improvements) > 0 {
		p.line(bold.Render("Fix first"))
	}
	for i, fix := range g.Feedback.Improvements {
		p.line("  ", fmt.Sprintf("%d. ", i+1), bold.Render(fix.CriterionID), faint.Render(fmt.Sprintf("   up to %+.1f points", fix.Points)))
		p.prose(5, lipgloss.NewStyle(), fix.Text)
		if fix.Starter != "" {
			p.prose(5, faint, "Start with: "+fix.Starter)
		}
	}
	if g.Feedback.FollowUp != "" {
		p.line()
		p.prose(0, lipgloss.NewStyle(), "They may ask next: "+g.Feedback.FollowUp)
	}
	p.line()
	by := g.Provenance.Judge + " judge"
	if g.Provenance.Model != "" {
		by += " (" + g.Provenance.Model + ")"
	}
	if g.Usage.Calls > 0 {
		by += fmt.Sprintf(", %d calls, %d + %d tokens", g.Usage.Calls, g.Usage.PromptTokens, g.Usage.CompletionTokens)
	}
	if g.Usage.CostUSD != nil {
		by += fmt.Sprintf(", $%.4f", *g.Usage.CostUSD)
	}
	if raw := g.Provenance.RawScore; raw != nil {
		by += fmt.Sprintf("; the score is calibrated, %.1f without", *raw)
	}
	p.prose(0, faint, "Graded by the "+by+".")
}

func label(v judge.Verdict) string { return strings.ReplaceAll(string(v), "_", " ") }

func words(list []string) string { return strings.ReplaceAll(strings.Join(list, ", "), "_", " ") }

// eachLine styles every line on its own: a style over a line break would pad.
func eachLine(style lipgloss.Style, s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = style.Render(line)
		}
	}
	return strings.Join(lines, "\n")
}

// plain takes from a text what a terminal would act on: escapes, other control
// characters and characters that turn the direction of writing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != '\u200d':
			return -1
		}
		return r
	}, s)
}
