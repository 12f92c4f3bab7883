package eval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// derivation is the version of the way from a row to a question; it is part of
// the fingerprint of a run.
const derivation = 1

// Library finds questions that are loaded.
type Library interface {
	Find(ref string) (*rubric.Question, error)
}

// Questions makes the questions that a gold file asks. The zero value makes
// all of them from the rows.
type Questions struct {
	// Library has the questions of rows that name SET/QUESTION and bring no
	// question of their own.
	Library Library
	// Set, where given, is graded by in place of the rows' own questions: a
	// row's question_no counts from 1 in it.
	Set *rubric.Set
}

// Asked is a question and what gold calls its criteria.
type Asked struct {
	*rubric.Question
	// Names has the gold id of each criterion, in the question's order.
	Names []string
}

// For is the question that a row answers.
//
// A row with criteria is graded by them; where there is only one, every line of
// the reference answers is a phrase that means the same. A row without is
// graded by one criterion made of its reference answers: the first is its
// statement, the others are its phrases. Whoever rated such a row compared it
// with the whole reference; to make a criterion of every sentence would invent
// weights that nobody had in mind, and agreed less with people on long
// references. References never become a sample answer: saying what they say is
// right here, not copied.
//
// The raters' own prose (rubric) becomes the question's intent, which a model
// reads and which is never matched with the answer's words.
//
// An error wraps ErrGold, rubric.ErrNotFound or rubric.ErrInvalid.
func (qs *Questions) For(r *Row) (*Asked, error) {
	switch {
	case qs.Set != nil:
		if r.QuestionNo < 1 || r.QuestionNo > len(qs.Set.Questions) {
			return nil, fmt.Errorf("%w: answer %s: question_no %d is not in set %s", ErrGold, r.AnswerID, r.QuestionNo, qs.Set.ID)
		}
		return loaded(qs.Set.Questions[r.QuestionNo-1]), nil
	case r.Question == "" && qs.Library != nil:
		q, err := qs.Library.Find(r.QuestionID)
		if err != nil {
			return nil, fmt.Errorf("answer %s: %w", r.AnswerID, err)
		}
		return loaded(q), nil
	}
	q, names, err := inline(r)
	if err != nil {
		return nil, fmt.Errorf("%w: question %s: %w", ErrGold, r.QuestionID, err)
	}
	return &Asked{Question: q, Names: names}, nil
}

func loaded(q *rubric.Question) *Asked {
	a := &Asked{Question: q}
	for _, c := range q.Criteria {
		a.Names = append(a.Names, c.ID)
	}
	return a
}

func inline(r *Row) (*rubric.Question, []string, error) {
	q := rubric.Question{Text: r.Question, Intent: head(r.Rubric, rubric.MaxIntent)}
	var names []string
	for i, c := range r.Criteria {
		names = append(names, c.ID)
		q.Criteria = append(q.Criteria, rubric.Criterion{
			// Gold may call its criteria anything; the rubric has rules for ids.
			ID:        fmt.Sprintf("c%d", i+1),
			Statement: head(c.Statement, rubric.MaxStatement),
			Weight:    c.Weight,
		})
	}
	switch len(q.Criteria) {
	case 1:
		q.Criteria[0].Phrases = phrases(strings.Split(strings.Join(r.References, "\n"), "\n"))
	case 0:
		c, ok := fromReferences(r.References)
		if !ok {
			return nil, nil, errors.New("it has neither criteria nor reference answers")
		}
		q.Criteria, names = []rubric.Criterion{c}, []string{c.ID}
	}
	asked, err := rubric.Inline(q)
	return asked, names, err
}

// fromReferences makes one criterion of reference answers.
func fromReferences(references []string) (rubric.Criterion, bool) {
	for i, reference := range references {
		if statement := head(reference, rubric.MaxStatement); statement != "" {
			return rubric.Criterion{ID: "c1", Statement: statement, Phrases: phrases(references[i+1:])}, true
		}
	}
	return rubric.Criterion{}, false
}

// phrases are texts as phrases: each whole where it is short enough, else its
// sentences.
func phrases(texts []string) []string {
	var out []string
	for _, s := range texts {
		s = strings.TrimSpace(s)
		if utf8.RuneCountInString(s) <= rubric.MaxPhrase {
			out = append(out, s)
			continue
		}
		doc := text.Parse(s)
		for _, sentence := range doc.Sentences {
			out = append(out, head(doc.Slice(sentence.Start, sentence.End), rubric.MaxPhrase))
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
	return out[:min(len(out), rubric.MaxPhrases)]
}

// head is the beginning of a text: as many whole words as fit in n code points.
func head(s string, n int) string {
	s = strings.TrimSpace(s)
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	cut := string(runes[:n])
	if at := strings.LastIndexAny(cut, " \n\t"); at > 0 {
		cut = cut[:at]
	}
	return strings.TrimSpace(cut)
}
