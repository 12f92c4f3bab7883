package grading

import (
	"sync"

	"github.com/maypok86/otter/v2"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// questionsKept bounds the prepared questions in memory: inline questions come
// from callers, who could otherwise fill it.
const questionsKept = 512

// prepared is what grading derives from a question once.
type prepared struct {
	reference  *evidence.Reference
	vocabulary func() *vocabulary // needed only where a model comments
}

// shelf keeps prepared questions by digest.
type shelf struct {
	cache *otter.Cache[string, *prepared]
}

func newShelf() *shelf {
	return &shelf{cache: otter.Must(&otter.Options[string, *prepared]{MaximumSize: questionsKept})}
}

func (s *shelf) of(q *rubric.Question) *prepared {
	digest := q.Digest()
	if p, ok := s.cache.GetIfPresent(digest); ok {
		return p
	}
	p := &prepared{
		reference:  evidence.NewReference(judge.ReferenceTexts(q)),
		vocabulary: sync.OnceValue(func() *vocabulary { return newVocabulary(q) }),
	}
	s.cache.Set(digest, p)
	return p
}

// verify looks every quote up in the answer and returns findings with the
// quotes that stand, how many there were and how many of them stood. A credited verdict whose quotes all fall is not trusted
// and not zero either: it becomes CannotAssess.
func verify(r *evidence.Reading, findings []judge.Finding) (out []judge.Finding, quotes, stood int) {
	out = make([]judge.Finding, len(findings))
	for i, f := range findings {
		claimed := make([]string, len(f.Evidence))
		for k, quote := range f.Evidence {
			claimed[k] = quote.Text
		}
		kept, _ := evidence.Verify(r.Answer, r.Reference, r.Integrity, claimed)
		f.Evidence = kept
		quotes += len(claimed)
		stood += len(kept)
		if f.Evidence == nil {
			f.Evidence = []evidence.Quote{} // JSON: a list, never null
		}
		if f.Verdict.Credited() && len(kept) == 0 {
			f.Verdict, f.Credit = judge.CannotAssess, 0
			f.Comment = ""
		}
		out[i] = f
	}
	return out, quotes, stood
}
