package evidence

import "github.com/gradus-ai/gradus/internal/text"

// mostQuotes is how many quotes prove a verdict; more prove no more.
const mostQuotes = 3

// Verify looks up the quotes that a judge claims and keeps those that count:
// at most three, found in the answer, with words of the candidate's own (a
// question said again is cut off from what answers it), and
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
		reason := a.refuse(ref, in, q)
		if reason == Echo {
			// The question said again and then answered: the answer counts.
			if own, ok := a.own(ref, q); ok {
				if refused := a.refuse(ref, in, own); refused == "" {
					q, reason = own, ""
				}
			}
		}
		if reason != "" {
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

// Counts reports whether Verify would keep a quote, or a part of it, that is a
// slice of the answer, were it the only one.
func (r *Reading) Counts(q Quote) bool {
	reason := r.Answer.refuse(r.Reference, r.Integrity, q)
	if reason == Echo {
		if own, ok := r.Answer.own(r.Reference, q); ok {
			reason = r.Answer.refuse(r.Reference, r.Integrity, own)
		}
	}
	return reason == ""
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
	if ref.Echoed(words) >= echoShare || float64(in.overlap(GuidanceEcho, q)) >= echoShare*float64(q.End-q.Start) {
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

// fewestOwn is the number of content words that an answer in the question's own
// words adds at least.
const fewestOwn = 2

// own is what a quote says beyond the question and the guidance, where that
// opens or ends a sentence: "salt and vinegar" of "Two things belong on it, salt
// and vinegar".
func (a *Answer) own(ref *Reference, q Quote) (Quote, bool) {
	first, last := a.tokensIn(q.Start, q.End)
	words := a.doc.Tokens[first:last]
	echoed := make([]bool, len(words))
	for _, g := range []*grams{&ref.question, &ref.guidance} {
		for _, run := range g.runs(words) {
			for i := run[0]; i < run[1]; i++ {
				echoed[i] = true
			}
		}
	}
	from, to := 0, 0 // the longest stretch so far
	for i := 0; i < len(words); i++ {
		end := i
		for end < len(words) && !echoed[end] && words[end].Sentence == words[i].Sentence {
			end++
		}
		s := a.doc.Sentences[words[i].Sentence]
		if end-i > to-from && (first+i == s.First || first+end == s.Last) {
			from, to = i, end
		}
		i = max(i, end-1)
	}
	for from < to && words[from].Class == text.Function {
		from++
	}
	content := 0
	for i := from; i < to; i++ {
		if words[i].Class != text.Function {
			content++
		}
	}
	if content < fewestOwn {
		return Quote{}, false
	}
	return a.quote(words[from].Start, words[to-1].End, q.Match), true
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
