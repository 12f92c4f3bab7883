package lexical

import (
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/text"
)

// announced is the length, in words, up to which "here is the definition" only
// announces one.
const announced = 12

// readable says which sentences of an answer are read: not lists of words, not
// the rubric's words in no order, not orders to the grader, not the question
// over again, nothing said before.
func (q *compiled) readable(r *evidence.Reading) []bool {
	stuffed, echoed := q.reference.StuffedSentences(r.Answer), q.reference.EchoedSentences(r.Answer)
	doc := r.Answer.Doc()
	keep := make([]bool, len(doc.Sentences))
	said := make(map[uint64]bool, len(doc.Sentences))
	for i := range doc.Sentences {
		words := doc.Words(i)
		same := text.RunHash(words)
		keep[i] = !stuffed[i] && !echoed[i] && !said[same] && !announces(words) && !q.order.jumbled(doc, i) && !hidden(r.Integrity, doc.Sentences[i])
		said[same] = true
	}
	return keep
}

// hidden reports whether half of a sentence or more addresses the grader or
// cannot be seen.
func hidden(in evidence.Integrity, sentence text.Sentence) bool {
	for _, span := range in.Spans {
		if span.Flag != evidence.InstructionLike && span.Flag != evidence.HiddenText {
			continue
		}
		covered := min(span.End, sentence.End) - max(span.Start, sentence.Start)
		if 2*covered >= sentence.End-sentence.Start {
			return true
		}
	}
	return false
}

// announces reports whether a sentence names what an answer should hold in
// place of saying it: "Here is the concrete example".
func announces(words []text.Token) bool {
	if len(words) < 3 || len(words) > announced || words[0].Norm != "here" {
		return false
	}
	next := words[1].Norm
	if next == "is" || next == "are" { // "here's" has lost its "is"
		next = words[2].Norm
	}
	return next == "the" || next == "my" || next == "a" || next == "an"
}
