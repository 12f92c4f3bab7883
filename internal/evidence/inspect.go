package evidence

import (
	"cmp"
	"slices"
)

// Inspect looks at an answer without a model: what is copied, repeated,
// stuffed, hidden or addressed to the judge. What it finds is data for people
// and never a score. Flags and Spans are never nil.
func Inspect(a *Answer, ref *Reference) Integrity {
	var spans []Flagged
	spans = append(spans, a.instructions(ref)...)
	spans = append(spans, a.copied(ref)...)
	spans = append(spans, a.echoes(ref)...)
	spans = append(spans, a.stuffed(ref)...)
	spans = append(spans, a.hidden()...)
	return collect(spans)
}

// collect merges overlapping passages of one flag and orders everything.
func collect(spans []Flagged) Integrity {
	in := Integrity{Flags: []Flag{}, Spans: make([]Flagged, 0, len(spans))}
	slices.SortFunc(spans, func(x, y Flagged) int {
		return cmp.Or(cmp.Compare(x.Flag, y.Flag), cmp.Compare(x.Start, y.Start))
	})
	for _, s := range spans {
		if n := len(in.Spans); n > 0 && in.Spans[n-1].Flag == s.Flag {
			if last := &in.Spans[n-1]; s.Start <= last.End {
				last.End = max(last.End, s.End)
				continue
			}
		}
		in.Spans = append(in.Spans, s)
		if !in.Has(s.Flag) {
			in.Flags = append(in.Flags, s.Flag)
		}
	}
	slices.SortStableFunc(in.Spans, func(x, y Flagged) int { return cmp.Compare(x.Start, y.Start) })
	return in
}

// between makes a passage of the tokens [first, last).
func (a *Answer) between(f Flag, first, last int) Flagged {
	return Flagged{Flag: f, Start: a.doc.Tokens[first].Start, End: a.doc.Tokens[last-1].End}
}

// copied finds what an answer took from the sample, if it is a copy.
func (a *Answer) copied(ref *Reference) []Flagged {
	if ref.CopiedShare(a) < copiedShare {
		return nil
	}
	var out []Flagged
	for _, r := range ref.sample.runs(a.doc.Tokens) {
		out = append(out, a.between(CopiedSample, r[0], r[1]))
	}
	return out
}

// echoes finds recited guidance, an answer that is mostly made of the rubric's
// texts, and one that mostly repeats its question: most of it, not one of the
// choices it offers.
func (a *Answer) echoes(ref *Reference) []Flagged {
	var out []Flagged
	tokens := a.doc.Tokens
	for _, r := range ref.recited.runs(tokens) {
		out = append(out, a.between(GuidanceEcho, r[0], r[1]))
	}
	if covered := ref.rubric.covered(tokens); covered >= copiedRuns && float64(covered) >= recital*float64(len(tokens)) {
		for _, r := range ref.rubric.runs(tokens) {
			out = append(out, a.between(GuidanceEcho, r[0], r[1]))
		}
	}
	repeated := 0
	var again []Flagged
	for i, s := range a.doc.Sentences {
		words := a.doc.Words(i)
		if n := len(words); n >= shortestEcho && float64(ref.question.covered(words)) >= saidAgain*float64(n) {
			repeated += n
			again = append(again, Flagged{Flag: QuestionEcho, Start: s.Start, End: s.End})
		}
	}
	if float64(repeated) >= mostlyEcho*float64(len(tokens)) && 2*repeated >= ref.asked {
		out = append(out, again...)
	}
	return out
}
