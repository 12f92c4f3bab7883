package probe

import (
	"fmt"
	"strings"
)

// Findings are the results of the probes that were missed.
func (r *Report) Findings() []Result {
	var missed []Result
	for _, x := range r.Results {
		if !x.Passed {
			missed = append(missed, x)
		}
	}
	return missed
}

// Passed reports whether no probe was missed.
func (r *Report) Passed() bool { return len(r.Findings()) == 0 }

// Line sums up one probe over all questions.
type Line struct {
	Probe  Name `json:"probe"`
	Passed int  `json:"passed"`
	Total  int  `json:"total"`
	// Worst is the score nearest to, or furthest beyond, the limit: the lowest
	// of the sample answers, the highest of the others. It is nil where no
	// answer had a score, and for removals, where the score is not judged.
	Worst *float64 `json:"worst"`
}

// Summary has a line for each probe that was run.
func (r *Report) Summary() []Line {
	var lines []Line
	for _, name := range []Name{Sample, Foreign, Empty, Question, Guidance, Keywords, Instruction, Removal} {
		line := Line{Probe: name}
		for _, x := range r.Results {
			if x.Probe != name {
				continue
			}
			line.Total++
			if x.Passed {
				line.Passed++
			}
			if name == Removal || x.Score == nil {
				continue
			}
			if line.Worst == nil || name == Sample && *x.Score < *line.Worst || name != Sample && *x.Score > *line.Worst {
				line.Worst = x.Score
			}
		}
		if line.Total > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

// Text is the report for people: the summary, then what was missed, question
// by question.
func (r *Report) Text() string {
	var b strings.Builder
	missed := r.Findings()
	fmt.Fprintf(&b, "%s: %d probes, %d missed\n\n", r.Set, len(r.Results), len(missed))
	fmt.Fprintf(&b, "  %-15s %9s   %s\n", "probe", "passed", "worst")
	for _, l := range r.Summary() {
		worst := ""
		if l.Worst != nil {
			worst = fmt.Sprintf("%5.1f", *l.Worst)
		}
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("  %-15s %9s   %s", l.Probe, fmt.Sprintf("%d/%d", l.Passed, l.Total), worst), " "))
	}
	last := ""
	for _, x := range missed {
		if x.Question != last {
			fmt.Fprintf(&b, "\n%s/%s\n", r.Set, x.Question)
			last = x.Question
		}
		fmt.Fprintf(&b, "  %s", x.Probe)
		if x.About != "" {
			fmt.Fprintf(&b, " %s", x.About)
		}
		fmt.Fprintf(&b, "\n    expected %s\n    got      %s\n", x.Expected, x.Got)
		if x.Note != "" {
			fmt.Fprintf(&b, "    (%s)\n", x.Note)
		}
	}
	return b.String()
}

// list joins names for a sentence, in the order given.
func list(names []string) string {
	return strings.Join(names, ", ")
}
