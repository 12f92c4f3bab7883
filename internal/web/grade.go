package web

import (
	"math"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
)

// gradeSheet is a grade as a page shows it.
type gradeSheet struct {
	Score  string // empty: there is none
	At     float64
	Band   string
	Class  string // of the band
	Change *change

	Summary   string
	Notes     []note
	Strengths []strength
	Fixes     []fix
	Cards     []card

	Answer []piece
	Legend []legend
	Known  bool // the answer is known, so that evidence has a place

	// Reader is true for somebody who reads another's answer: it comes first.
	Reader   bool
	FollowUp string
	Sample   string
	Judge    string
	Model    string
	At8601   string
	AtWords  string
	Kept     string // the grade's id, where it is kept
	Spent    string
}

// change is how a figure differs from the one before.
type change struct {
	Text  string
	Class string // "up", "down" or "same"
	Words string
}

// note is something to know about the grade besides the grade.
type note struct {
	Class string // "info" or "warn"
	Title string
	Lines []string
}

// legend is one way of marking, and what it means.
type legend struct{ Class, Text string }

var legends = []legend{{"met d1", "met"}, {"partial d1", "met in part"}, {"bad d1", "counts against it"}, {"open d1", "not judged"}}

type strength struct{ Text, Quote string }

type fix struct {
	Topic, Text, Starter, Points, Href string
}

type card struct {
	N                    int
	ID, Topic, Statement string
	Said, Mark           string // the verdict in words, and its shape
	Points, Of           string
	Earned, Whole        float64 // of the bar, 0..100
	Comment              string
	Quotes               []quote
	Change               *change
}

// shown says whether a criterion has a card: a bonus not earned is not missing,
// and a pitfall avoided is no news.
func shown(c api.CriterionGrade) bool {
	return c.Kind == "" || c.Kind == "core" || c.Credit > 0
}

// show makes a sheet of a grade. known is false where the answer is not at hand;
// previous is the grade of an earlier answer to the same question, or nil.
func show(g *api.Grade, answer string, known bool, previous *api.Grade) *gradeSheet {
	s := &gradeSheet{
		Summary: g.Feedback.Summary, FollowUp: g.Feedback.FollowUp, Known: known,
		Judge: g.Provenance.Judge, Model: g.Provenance.Model,
		At8601: g.Provenance.GradedAt.UTC().Format("2006-01-02T15:04:05Z"), AtWords: g.Provenance.GradedAt.UTC().Format("2 January 2006, 15:04 UTC"),
		Spent: spent(g.Usage),
	}
	if g.ID != nil {
		s.Kept = *g.ID
	}
	if g.Score != nil {
		s.Score, s.At = number(*g.Score), *g.Score
	}
	if g.Band != nil {
		s.Band, s.Class = bandWords[*g.Band], string(*g.Band)
	}
	if previous != nil && previous.QuestionID != g.QuestionID {
		previous = nil
	}
	before := map[string]api.CriterionGrade{}
	if previous != nil {
		for _, c := range previous.Criteria {
			before[c.ID] = c
		}
		if previous.Score != nil && g.Score != nil {
			s.Change = changed(*g.Score - *previous.Score)
		}
	}
	s.notes(g)
	s.criteria(g, []rune(answer), before)
	s.feedback(g)
	return s
}

// criteria makes the cards and marks their evidence in the answer.
func (s *gradeSheet) criteria(g *api.Grade, answer []rune, before map[string]api.CriterionGrade) {
	heaviest := 0.0
	for _, c := range g.Criteria {
		heaviest = max(heaviest, math.Abs(c.Weight))
	}
	var passages []passage
	for _, c := range g.Criteria {
		if !shown(c) {
			continue
		}
		n := len(s.Cards) + 1
		k := card{
			N: n, ID: c.ID, Topic: topic(c.ID, n), Statement: c.Statement, Comment: c.Comment,
			Said: verdictWords[c.Verdict], Mark: string(c.Verdict),
			Points: number(c.Weight * c.Credit), Of: "of " + number(c.Weight),
			Whole: 100 * math.Abs(c.Weight) / heaviest, Earned: 100 * math.Abs(c.Weight) * c.Credit / heaviest,
		}
		switch {
		case c.Verdict == api.CannotAssess:
			k.Points = "–"
		case c.Kind == "bonus":
			k.Points, k.Of = signed(c.Weight*c.Credit), "bonus"
		case c.Kind == "pitfall":
			k.Points, k.Of, k.Mark, k.Said = signed(c.Weight*c.Credit), "pitfall", "pitfall", "Pitfall"
		}
		if old, ok := before[c.ID]; ok && old.Verdict != api.CannotAssess && c.Verdict != api.CannotAssess {
			k.Change = changed(c.Weight*c.Credit - old.Weight*old.Credit)
		}
		for i, q := range c.Evidence {
			show := quote{Text: q.Quote}
			if start, end, ok := locate(answer, q); s.Known && ok {
				p := passage{N: n, Nth: i, Name: k.Topic, Said: k.Said, start: start, end: end, Kind: kindOf(c)}
				passages = append(passages, p)
				show.Href = "#" + p.ID()
			} else {
				show.Adrift = s.Known
			}
			k.Quotes = append(k.Quotes, show)
		}
		s.Cards = append(s.Cards, k)
	}
	if s.Known {
		s.Answer = marked(answer, passages, g.Integrity.Spans)
		for _, l := range legends {
			if slices.ContainsFunc(s.Answer, func(p piece) bool { return p.Kind+" d1" == l.Class }) {
				s.Legend = append(s.Legend, l)
			}
		}
		if slices.ContainsFunc(s.Answer, func(p piece) bool { return p.Depth > 1 }) {
			s.Legend = append(s.Legend, legend{"open d2", "counts for several"})
		}
		if slices.ContainsFunc(s.Answer, func(p piece) bool { return p.Flags != "" }) {
			s.Legend = append(s.Legend, legend{"flagged", "noticed, see above"})
		}
	}
}

// kindOf is what a criterion's evidence is to the grade.
func kindOf(c api.CriterionGrade) string {
	switch {
	case c.Kind == "pitfall" || c.Verdict == api.Contradicted:
		return "bad"
	case c.Verdict == api.Met:
		return "met"
	case c.Verdict == api.Partial:
		return "partial"
	}
	return "open"
}

func (s *gradeSheet) feedback(g *api.Grade) {
	find := func(id string) (card, string) {
		for _, k := range s.Cards {
			if k.ID == id {
				return k, "#c-" + number(float64(k.N))
			}
		}
		return card{Topic: topic(id, 0)}, ""
	}
	for _, x := range g.Feedback.Strengths {
		s.Strengths = append(s.Strengths, strength{Text: x.Text, Quote: x.Quote})
	}
	for _, x := range g.Feedback.Improvements {
		k, href := find(x.CriterionID)
		s.Fixes = append(s.Fixes, fix{Topic: k.Topic, Text: x.Text, Starter: x.Starter, Points: number(x.Points), Href: href})
	}
}

// notes says what a reader of the grade has to know: who judged, whether a
// person should look, what was noticed.
func (s *gradeSheet) notes(g *api.Grade) {
	if g.Provenance.Degraded {
		s.Notes = append(s.Notes, note{"warn", "The model could not be asked", []string{"The lexical judge stood in. Its grade is an estimate, and is not kept."}})
	} else if g.Provenance.Judge == api.JudgeLexical {
		s.Notes = append(s.Notes, note{"info", "Estimated without a model", []string{
			"The lexical judge compares words. It can miss what is right in words that nobody listed, and be taken in by the right vocabulary."}})
	}
	if g.Review.Needed {
		n := note{Class: "warn", Title: "A person should look at this grade"}
		for _, reason := range g.Review.Reasons {
			n.Lines = append(n.Lines, reasonWords(reason))
		}
		s.Notes = append(s.Notes, n)
	}
	if len(g.Integrity.Flags) > 0 {
		n := note{Class: "warn", Title: "Noticed in the answer"}
		for _, flag := range g.Integrity.Flags {
			n.Lines = append(n.Lines, "A passage "+flagWords(flag)+".")
		}
		s.Notes = append(s.Notes, n)
	}
}

// changed words a difference; less than can be shown is none.
func changed(by float64) *change {
	switch {
	case by >= .05:
		return &change{Text: signed(by), Class: "up", Words: number(by) + " more than the last time"}
	case by <= -.05:
		return &change{Text: signed(by), Class: "down", Words: number(-by) + " less than the last time"}
	}
	return &change{Text: "±0", Class: "same", Words: "as much as the last time"}
}

// spent is what a grade cost, in words; empty where nobody was asked.
func spent(u api.Usage) string {
	if u.Calls == 0 {
		return ""
	}
	parts := []string{plural(u.Calls, "call", "calls"), plural(u.PromptTokens+u.CompletionTokens, "token", "tokens")}
	if u.CostUSD != nil {
		parts = append(parts, "$"+money(*u.CostUSD))
	}
	return strings.Join(parts, ", ")
}
