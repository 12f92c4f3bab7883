package web

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
)

// piece is a stretch of the answer that the same passages cover.
type piece struct {
	Text string
	// Kind is what the passages are to the grade: "met", "partial", "bad",
	// "open" (quoted, and not judged), or empty.
	Kind string
	// On are the numbers of the criteria whose evidence this is, with a space
	// between them.
	On string
	// Depth is how many criteria share the stretch, at most 3.
	Depth int
	// Flags are what was noticed here besides, in words.
	Flags string
	// Starts and Ends are the passages that begin before and end after the piece.
	Starts, Ends []passage
}

// passage is one piece of evidence of one criterion.
type passage struct {
	N    int // of the criterion, from 1
	Nth  int // of its passages, from 0
	Name string
	Said string // the verdict in words
	Kind string // as of a piece

	start, end int
}

// ID is where the passage begins in the page.
func (p passage) ID() string { return fmt.Sprintf("e-%d-%d", p.N, p.Nth) }

// quote is evidence as a card shows it.
type quote struct {
	Text string
	Href string // its place in the answer; empty: it has none
	// Adrift is evidence that is not where the grade says, nor elsewhere in the
	// answer.
	Adrift bool
}

// locate finds evidence in the answer: where the grade says, or else where its
// words first stand. Offsets count code points.
func locate(answer []rune, q api.Quote) (start, end int, ok bool) {
	if 0 <= q.Start && q.Start < q.End && q.End <= len(answer) && string(answer[q.Start:q.End]) == q.Quote {
		return q.Start, q.End, true
	}
	if q.Quote == "" {
		return 0, 0, false
	}
	at := strings.Index(string(answer), q.Quote)
	if at < 0 {
		return 0, 0, false
	}
	start = len([]rune(string(answer)[:at]))
	return start, start + len([]rune(q.Quote)), true
}

// marked cuts the answer where passages and flagged spans begin and end, so that
// overlapping ones share pieces.
func marked(answer []rune, passages []passage, spans []api.Span) []piece {
	cuts := []int{0, len(answer)}
	for _, p := range passages {
		cuts = append(cuts, p.start, p.end)
	}
	spans = slices.DeleteFunc(slices.Clone(spans), func(s api.Span) bool {
		return s.Start < 0 || s.Start >= s.End || s.End > len(answer)
	})
	for _, s := range spans {
		cuts = append(cuts, s.Start, s.End)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)

	pieces := make([]piece, 0, len(cuts))
	for i := range len(cuts) - 1 {
		from, to := cuts[i], cuts[i+1]
		p := piece{Text: string(answer[from:to])}
		var on, flags []string
		for _, e := range passages {
			if e.start == from {
				p.Starts = append(p.Starts, e)
			}
			if e.end == to {
				p.Ends = append(p.Ends, e)
			}
			if e.start <= from && to <= e.end {
				number := fmt.Sprint(e.N)
				if !slices.Contains(on, number) {
					on = append(on, number)
				}
				p.Kind = stronger(p.Kind, e.Kind)
			}
		}
		for _, s := range spans {
			if s.Start <= from && to <= s.End {
				flags = append(flags, flagWords(s.Flag))
			}
		}
		p.On, p.Depth, p.Flags = strings.Join(on, " "), min(len(on), 3), strings.Join(flags, "; ")
		pieces = append(pieces, p)
	}
	return pieces
}

// kinds of pieces, the one that shows last.
var kinds = []string{"", "open", "partial", "met", "bad"}

func stronger(a, b string) string {
	if slices.Index(kinds, b) > slices.Index(kinds, a) {
		return b
	}
	return a
}
