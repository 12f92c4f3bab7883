package evidence

import "github.com/gradus-ai/gradus/internal/text"

// mostQuotes is how many quotes prove a verdict; more prove no more.
const mostQuotes = 3

// Verify looks up the quotes that a judge claims and keeps those that count:
// at most three, found in the answer, with words of the candidate's own, and
// not out of hidden text, an instruction to the judge or a heap of keywords
// (words that say nothing of each other prove nothing). A quote within another
// is dropped for it. kept is never nil and stands in the judge's order.
func Verify(a *Answer, ref *Reference, in Integrity, claimed []string) (kept []Quote, dropped []Dropped) {
	kept = make([]Quote, 0, min(len(claimed), mostQuotes))
	drop := func(quote string, r Reason) { dropped = append(dropped, Dropped{Quote: quote, Reason: r}) }
claims:
	for _, claim := range claimed {
		q, ok := a.Find(claim)
		if !ok {
			drop(claim, NotFound)
			continue
		}
		if reason := a.refuse(ref, in, q); reason != "" {
			drop(claim, reason)
			continue
		}
		for i, k := range kept {
			if k.Start <= q.Start && q.End <= k.End {
				drop(claim, Duplicate)
				continue claims
			}
			if q.Start <= k.Start && k.End <= q.End {
				kept[i] = q
				drop(k.Text, Duplicate)
				continue claims
			}
		}
		if len(kept) == mostQuotes {
			drop(claim, Surplus)
			continue
		}
		kept = append(kept, q)
	}
	return kept, dropped
}

// refuse says why a quote that stands in the answer does not count, or "".
func (a *Answer) refuse(ref *Reference, in Integrity, q Quote) Reason {
	first, last := a.tokensIn(q.Start, q.End)
	words := a.doc.Tokens[first:last]
	if !says(words) && len(words) < len(a.doc.Tokens) {
		return NoWords
	}
	if len(words) == 0 {
		return NoWords
	}
	if ref.Echoed(words) >= echoShare {
		return Echo
	}
	if in.overlap(InstructionLike, q)*2 >= q.End-q.Start {
		return Instruction
	}
	if in.overlap(HiddenText, q)*2 >= q.End-q.Start {
		return Hidden
	}
	if in.overlap(KeywordStuffing, q)*2 >= q.End-q.Start {
		return Stuffing
	}
	return ""
}

// says reports whether any word is more than a function word.
func says(words []text.Token) bool {
	for i := range words {
		if words[i].Class != text.Function {
			return true
		}
	}
	return false
}

// overlap counts the code points of a quote in passages of a flag. Passages of
// one flag do not overlap.
func (in Integrity) overlap(f Flag, q Quote) int {
	n := 0
	for _, s := range in.Spans {
		if s.Flag == f {
			n += max(0, min(s.End, q.End)-max(s.Start, q.Start))
		}
	}
	return n
}
