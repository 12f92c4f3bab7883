package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/charmbracelet/colorprofile"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
)

// tally is what the summary needs of one row.
type tally struct {
	status   api.RowStatus
	question string
	score    *float64
	missed   []string // ids of core criteria that earned nothing
}

func tallyOf(status api.RowStatus, g *api.Grade) tally {
	t := tally{status: status}
	if g == nil {
		return t
	}
	t.question, t.score = g.QuestionID, g.Score
	for _, c := range g.Criteria {
		if c.Kind == "core" && (c.Verdict == api.Missed || c.Verdict == api.Contradicted) {
			t.missed = append(t.missed, c.ID)
		}
	}
	return t
}

// summary is what a batch came to, earlier runs included.
type summary struct {
	Answers     int `json:"answers"`
	Graded      int `json:"graded"`
	NeedsReview int `json:"needs_review"`
	Failed      int `json:"failed"`
	Skipped     int `json:"skipped"`
	// Kept were graded by earlier runs; Cached without asking a judge again.
	Kept   int `json:"kept"`
	Cached int `json:"cached"`
	// Scores are of the answers that have one; nil where none has.
	Scores     *scores        `json:"scores"`
	Bands      map[string]int `json:"bands"`
	MostMissed []missed       `json:"most_missed"`
	Reasons    map[string]int `json:"reasons"` // why rows failed, by problem type
	Usage      api.Usage      `json:"usage"`   // of this run
	Saved      api.Usage      `json:"saved"`

	tallies []tally
}

type scores struct {
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	Lowest float64 `json:"lowest"`
	Best   float64 `json:"best"`
}

// missed says how many answers to a question earned nothing for a criterion.
type missed struct {
	QuestionID  string `json:"question_id"`
	CriterionID string `json:"criterion_id"`
	Missed      int    `json:"missed"`
	Of          int    `json:"of"`
}

func newSummary(old *earlier, skipped int) *summary {
	s := &summary{Skipped: skipped, Kept: len(old.rows), Bands: map[string]int{}, Reasons: map[string]int{}, MostMissed: []missed{}}
	for _, k := range old.rows {
		s.add(k.tally)
	}
	return s
}

func (s *summary) add(t tally) {
	s.Answers++
	switch t.status {
	case api.RowGraded:
		s.Graded++
	case api.RowNeedsReview:
		s.NeedsReview++
	default:
		s.Failed++
	}
	s.tallies = append(s.tallies, t)
}

// count takes a row of this run.
func (s *summary) count(row *rows.Result) {
	var g *api.Grade
	if row.Grade != nil {
		g = &api.Grade{}
		if json.Unmarshal(row.Grade, g) != nil { // it was encoded by us
			g = nil
		}
	}
	if row.Error != nil {
		s.Reasons[row.Error.Title]++
	}
	s.add(tallyOf(row.Status, g))
}

// spent takes what the run cost.
func (s *summary) spent(b *standing) {
	s.Usage, s.Saved, s.Cached = b.spent, b.saved, b.cached
}

// finish works the figures out.
func (s *summary) finish() {
	var points []float64
	asked := make(map[string]int)
	lost := make(map[missed]int)
	for _, t := range s.tallies {
		if t.score == nil {
			continue
		}
		points = append(points, *t.score)
		s.Bands[band(*t.score)]++
		asked[t.question]++
		for _, id := range t.missed {
			lost[missed{QuestionID: t.question, CriterionID: id}]++
		}
	}
	if len(points) > 0 {
		slices.Sort(points)
		sum := 0.0
		for _, p := range points {
			sum += p
		}
		n := len(points)
		s.Scores = &scores{Mean: sum / float64(n), Median: (points[(n-1)/2] + points[n/2]) / 2, Lowest: points[0], Best: points[n-1]}
	}
	for _, m := range slices.Collect(maps.Keys(lost)) {
		s.MostMissed = append(s.MostMissed, missed{m.QuestionID, m.CriterionID, lost[m], asked[m.QuestionID]})
	}
	slices.SortFunc(s.MostMissed, func(a, b missed) int {
		return cmp.Or(cmp.Compare(b.Missed, a.Missed), cmp.Compare(float64(b.Missed)/float64(b.Of), float64(a.Missed)/float64(a.Of)),
			strings.Compare(a.QuestionID, b.QuestionID), strings.Compare(a.CriterionID, b.CriterionID))
	})
	s.MostMissed = s.MostMissed[:min(len(s.MostMissed), mostMissed)]
}

// mostMissed is how many criteria the summary names.
const mostMissed = 5

// band is the score in one word, as grades have it.
func band(score float64) string {
	switch {
	case score >= 80:
		return string(api.Strong)
	case score >= 60:
		return string(api.Solid)
	case score >= 40:
		return string(api.Developing)
	default:
		return string(api.Weak)
	}
}

// show prints the summary: on standard output, or on standard error where the
// results are on the other.
func (s *summary) show(tty *terminal, asJSON, taken bool) error {
	s.finish()
	to := tty.out
	if taken {
		to = colorprofile.NewWriter(tty.err, os.Environ())
	}
	if asJSON {
		return printJSON(to, s)
	}
	_, err := io.WriteString(to, s.text())
	return err
}

func (s *summary) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d graded, %d for review, %d failed", count(s.Answers, "answer"), s.Graded, s.NeedsReview, s.Failed)
	if s.Skipped > 0 {
		fmt.Fprintf(&b, ", %s skipped", count(s.Skipped, "row"))
	}
	if s.Kept > 0 {
		fmt.Fprintf(&b, " (%d by an earlier run)", s.Kept)
	}
	b.WriteByte('\n')
	for _, title := range slices.Sorted(maps.Keys(s.Reasons)) {
		fmt.Fprintf(&b, "  failed: %s (%d)\n", title, s.Reasons[title])
	}
	if s.Scores != nil {
		t := bare().Headers("scores", "mean", "median", "lowest", "best", "strong", "solid", "developing", "weak").
			Row("", points(s.Scores.Mean), points(s.Scores.Median), points(s.Scores.Lowest), points(s.Scores.Best),
				fmt.Sprint(s.Bands["strong"]), fmt.Sprint(s.Bands["solid"]), fmt.Sprint(s.Bands["developing"]), fmt.Sprint(s.Bands["weak"]))
		b.WriteString(ragged(t))
	}
	if len(s.MostMissed) > 0 {
		t := bare().Headers("most missed", "by", "question")
		for _, m := range s.MostMissed {
			t.Row(m.CriterionID, fmt.Sprintf("%d of %d", m.Missed, m.Of), m.QuestionID)
		}
		b.WriteString(ragged(t))
	}
	b.WriteString(s.money())
	return b.String()
}

// ragged is a table without the blanks that fill its lines, under an empty line.
func ragged(t *table.Table) string {
	var b strings.Builder
	for line := range strings.Lines("\n" + t.String()) {
		b.WriteString(strings.TrimRight(line, " \n"))
		b.WriteByte('\n')
	}
	return b.String()
}

func points(p float64) string { return fmt.Sprintf("%.1f", p) }

// bare is a table without lines, which reads as well in a pipe.
func bare() *table.Table {
	return table.New().Border(lipgloss.HiddenBorder()).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderHeader(false).BorderColumn(false).
		StyleFunc(func(row, _ int) lipgloss.Style {
			style := lipgloss.NewStyle().PaddingRight(2)
			if row == table.HeaderRow {
				return style.Faint(true)
			}
			return style
		})
}

func (s *summary) money() string {
	if s.Usage.Calls == 0 && s.Saved.Calls == 0 {
		return ""
	}
	line := fmt.Sprintf("\n%s, %s", count(s.Usage.Calls, "call"), tokens(s.Usage))
	if s.Usage.CostUSD != nil {
		line += fmt.Sprintf(", $%.4f", *s.Usage.CostUSD)
	}
	if s.Saved.Calls > 0 {
		line += fmt.Sprintf("; %s saved", count(s.Saved.Calls, "call"))
		if s.Saved.CostUSD != nil {
			line += fmt.Sprintf(", $%.4f", *s.Saved.CostUSD)
		}
	}
	return line + "\n"
}

// tokens is how much was sent and received.
func tokens(u api.Usage) string {
	text := fmt.Sprintf("%d tokens in", u.PromptTokens)
	if u.CachedTokens > 0 {
		text += fmt.Sprintf(" (%d of them cached)", u.CachedTokens)
	}
	return text + fmt.Sprintf(", %d out", u.CompletionTokens)
}
