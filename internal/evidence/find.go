package evidence

import (
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// longestQuote bounds what is looked up, in bytes; a longer quote is not a
// quote but the answer over again.
const longestQuote = 4000

// Find looks a quote up in the answer: exact after folding, else the window of
// words closest to it, if at least .9 of the quote's weight is there. A quote
// that leaves words out ("we ship … and roll back") is found if all its parts
// are; the longest part stands for it.
//
// The result is whole words and whole characters of the answer as it was sent.
// A number is never found within another number, nor a word before a "not" of
// its own ("do" in "don't") without it.
func (a *Answer) Find(quote string) (Quote, bool) {
	if len(quote) > longestQuote {
		return Quote{}, false
	}
	folded := text.Fold(quote).Text
	for {
		if q, ok := a.exact(folded); ok {
			return q, true
		}
		trimmed := strings.Trim(folded, " \"'.,;:…*_`-()[]")
		if trimmed == folded || trimmed == "" {
			break
		}
		folded = trimmed
	}
	if parts := strings.FieldsFunc(strings.ReplaceAll(folded, "...", "…"), func(r rune) bool { return r == '…' }); len(parts) > 1 {
		if q, ok := a.parts(parts); ok {
			return q, true
		}
	}
	return a.closest(folded)
}

// parts finds all parts of a quote and returns the longest.
func (a *Answer) parts(parts []string) (best Quote, ok bool) {
	for _, p := range parts {
		p = strings.Trim(p, " []().,;")
		if p == "" {
			continue
		}
		q, found := a.exact(p)
		if !found {
			return Quote{}, false
		}
		if !ok || q.End-q.Start > best.End-best.Start {
			best, ok = q, true
		}
	}
	return best, ok
}

// exact finds a folded quote in the folded answer.
func (a *Answer) exact(folded string) (Quote, bool) {
	if folded == "" {
		return Quote{}, false
	}
	var second Quote // where the quote cuts words
	found := false
	reached := 0 // the end of the last place that was looked at
	for from := 0; from+len(folded) <= len(a.folded.Text); {
		i := strings.Index(a.folded.Text[from:], folded)
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		start, end := a.folded.Span(i, i+len(folded))
		if start < reached && a.within(start) {
			continue // a thousand marks on one letter are one place, not a thousand
		}
		s, e, ok := a.snap(start, end)
		reached = max(reached, e)
		if ok && s == start && e == end {
			return a.quote(start, end, Exact), true
		}
		if ok && !found {
			second, found = a.quote(s, e, Exact), true
		}
	}
	return second, found
}

// snap widens [start, end) to whole words. It refuses where that changes what
// is said: within a number, or where more than half as much is added; s and e
// are then what it came to.
func (a *Answer) snap(start, end int) (s, e int, ok bool) {
	s, e = a.cluster(start, end)
	first, last := a.tokensIn(s, e)
	tokens := a.doc.Tokens
	added := 0
	if first < last {
		if t := tokens[first]; t.Start < s {
			if t.Class == text.Number {
				return s, e, false
			}
			added += s - t.Start
			s = t.Start
		}
		t := tokens[last-1]
		if t.End > e {
			if t.Class == text.Number {
				return s, e, false
			}
			added += t.End - e
			e = t.End
		}
		if added > (end-start+1)/2 {
			return s, e, false
		}
		if last < len(tokens) && tokens[last].Negator && tokens[last].Start == e && t.End == e {
			e = tokens[last].End
		}
		if n := tokens[first]; n.Negator && first > 0 && tokens[first-1].End == n.Start && n.Start == s {
			s = tokens[first-1].Start
		}
	}
	s, e = a.cluster(s, e)
	return s, e, true
}

func (a *Answer) quote(start, end int, m Match) Quote {
	return Quote{Text: a.doc.Slice(start, end), Start: start, End: end, Match: m}
}

// Costs of an alignment, in hundredths of a content word.
const (
	whole     = 100       // a content word or number that is not there, or too many
	slight    = 40        // a function word
	inflected = 10        // another form of the same word
	misspelt  = 20        // one letter wrong; two in a long word
	forbidden = 1_000_000 // a number or a negation changes what is said
	tolerance = 10        // hundredths of the quote's weight that may be lost
	longest   = 120       // words of a quote that is looked for approximately
)

// closest aligns the words of a quote with every window of the answer and
// returns the best window within the tolerance. (Sellers 1980, over words, with
// Ukkonen's cut-off: a column is followed only as deep as its costs allow.)
func (a *Answer) closest(folded string) (Quote, bool) {
	quote := text.Parse(folded).Tokens
	n := len(quote)
	if n == 0 || n > longest {
		return Quote{}, false
	}
	weight := 0
	for i := range quote {
		weight += min(absence(&quote[i]), whole)
	}
	limit := weight * tolerance / 100

	// cost[i] is the price of aligning quote[:i] with a window that ends at the
	// current word and begins at word from[i].
	var costs [longest + 1]int
	var froms [longest + 1]int
	cost, from := costs[:n+1], froms[:n+1]
	depth := 0 // rows beyond hold more than limit
	for i := 1; i <= n; i++ {
		cost[i] = min(cost[i-1]+absence(&quote[i-1]), forbidden)
		if cost[i] <= limit {
			depth = i
		}
	}
	best, bestStart, bestEnd := limit+1, 0, 0
	words := a.doc.Tokens
	for j := range words {
		w := &words[j]
		surplus := absence(w)
		diagonal, diagonalFrom := cost[0], j // row 0 of the column before
		cost[0], from[0] = 0, j+1
		deepest := 0
		for i := 1; i <= min(depth+1, n); i++ {
			t := &quote[i-1]
			c, f := forbidden, j
			if diagonal <= limit {
				c, f = diagonal+difference(t, w), diagonalFrom
			}
			if i <= depth && cost[i]+surplus < c {
				c, f = cost[i]+surplus, from[i]
			}
			if up := cost[i-1] + absence(t); up < c {
				c, f = up, from[i-1]
			}
			if i <= depth {
				diagonal, diagonalFrom = cost[i], from[i]
			} else {
				diagonal = forbidden
			}
			cost[i], from[i] = min(c, forbidden), f
			if cost[i] <= limit {
				deepest = i
			}
		}
		// A row below the deepest may follow from it by leaving words out.
		for deepest < n && deepest == min(depth+1, n) {
			next := cost[deepest] + absence(&quote[deepest])
			if next > limit {
				break
			}
			deepest++
			cost[deepest], from[deepest] = next, from[deepest-1]
		}
		depth = deepest
		if depth == n && cost[n] < best && from[n] <= j {
			best, bestStart, bestEnd = cost[n], from[n], j
		}
	}
	if best > limit {
		return Quote{}, false
	}
	start, end, ok := a.snap(words[bestStart].Start, words[bestEnd].End)
	if !ok {
		return Quote{}, false
	}
	return a.quote(start, end, Fuzzy), true
}

// absence is the price of a word that stands on one side only.
func absence(t *text.Token) int {
	switch {
	case t.Negator:
		return forbidden
	case t.Class == text.Function:
		return slight
	}
	return whole
}

// difference is the price of reading w where the quote says t.
func difference(t, w *text.Token) int {
	switch {
	case t.Norm == w.Norm:
		return 0
	case t.Negator || w.Negator || t.Class == text.Number || w.Class == text.Number:
		return forbidden
	case t.Class == text.Function && w.Class == text.Function:
		return slight
	case t.Stem == w.Stem:
		return inflected
	case misspells(t.Norm, w.Norm):
		return misspelt
	}
	return whole
}
