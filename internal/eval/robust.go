package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/gradus-ai/gradus/internal/agreement"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// Kinds of trial. An invariance must leave a grade alone, a sensitivity must
// lower it, and gaming must not pay.
const (
	Invariance  = "invariance"
	Sensitivity = "sensitivity"
	Gaming      = "gaming"
)

// What counts, in points of 100.
const (
	// sameScore is how far a score may move before a change in writing alone
	// counts as a violation; so does a criterion that crosses half credit.
	sameScore = 10
	// leastFall is what breaking the best part of an answer must cost, and
	// worthBreaking the score from which there is something to break.
	leastFall     = 1
	worthBreaking = 40
	// leastGain is what an addition that says nothing must win to have paid,
	// roomToGain the score up to which there is something to win.
	leastGain  = 5
	roomToGain = 90
	// pass is the score from which an attack that answers nothing has paid.
	pass = 50
)

// Robustness is how the judge does when answers are changed in ways whose
// effect is known. It needs no human scores.
type Robustness struct {
	Gold       string `json:"gold"`
	GoldDigest string `json:"gold_digest"`
	Judge      string `json:"judge"`
	Model      string `json:"model,omitempty"`
	Seed       uint64 `json:"seed"`
	Answers    int    `json:"answers"`
	Questions  int    `json:"questions"`
	// Trials is how many changed answers were graded, Failed how many could
	// not be put to the judge, and Abstained how many, or their originals, got
	// no score (an attack that gets none has failed; other trials do not count).
	Trials    int      `json:"trials"`
	Failed    int      `json:"failed"`
	Abstained int      `json:"abstained"`
	Usage     Usage    `json:"usage"`
	Families  []Family `json:"families"`
}

// Family is the outcome of one way of changing answers.
type Family struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	What string `json:"what"`
	// Trials is how many answers it applied to.
	Trials int `json:"trials"`
	// Rate is the share of violations, of falls, or of attacks that paid, with
	// its Wilson interval.
	Rate agreement.Estimate `json:"rate"`
	// Points is the mean of what the family moves, on 0..100: the change of
	// the score, without its sign for an invariance; the score itself for an
	// attack that answers nothing.
	Points agreement.Figure `json:"points"`
}

// trial is one changed answer and what came of it.
type trial struct {
	kind, name, what string
	question         *rubric.Question
	answer           string
	fresh            bool
	// judged reads the outcome: whether it counts (a violation, a fall, a
	// success) and what moved.
	judged func(before, after *grading.Grade) (counts bool, points float64)

	counts    bool
	points    float64
	abstained bool
	err       error
}

// Robust grades every answer of gold as it is and changed. Draws depend on
// seed alone. An error ends it; answers that could not be put are counted.
func Robust(ctx context.Context, name string, gold *Gold, o Options, seed uint64) (*Robustness, error) {
	asked, err := questionsOf(gold, &o.Questions)
	if err != nil {
		return nil, err
	}
	r := &Robustness{Gold: name, GoldDigest: gold.Digest, Seed: seed, Answers: len(gold.Rows)}
	s := &suite{Options: o, report: r, first: make(map[string]int)}
	for i := range gold.Rows {
		if _, known := s.first[gold.Rows[i].QuestionID]; !known {
			s.first[gold.Rows[i].QuestionID] = i
		}
	}
	r.Questions = len(s.first)
	trials, err := s.run(ctx, gold, asked, seed)
	if err != nil {
		return nil, err
	}
	if r.Failed > 0 && r.Failed == r.Trials {
		return nil, nothingGraded(r.Failed, s.last)
	}
	r.sum(trials)
	return r, nil
}

// suite is a robustness run under way.
type suite struct {
	Options
	// first is the first row of each question; attacks that need no answer
	// are made there.
	first map[string]int

	mu       sync.Mutex
	report   *Robustness
	progress Progress
	last     error
}

func (s *suite) run(ctx context.Context, gold *Gold, asked []*Asked, seed uint64) ([][]*trial, error) {
	s.progress.Total = len(gold.Rows)
	trials := make([][]*trial, len(gold.Rows))
	failures := make([]error, len(gold.Rows))
	rows := make(chan int)
	var workers sync.WaitGroup
	for range max(1, s.Concurrency) {
		workers.Go(func() {
			for i := range rows {
				trials[i], failures[i] = s.row(ctx, gold, i, asked, rand.New(rand.NewPCG(seed, uint64(i))))
			}
		})
	}
	for i := range gold.Rows {
		if ctx.Err() != nil {
			break
		}
		rows <- i
	}
	close(rows)
	workers.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return trials, nil
}

// row makes and grades the trials of one answer.
func (s *suite) row(ctx context.Context, gold *Gold, i int, asked []*Asked, random *rand.Rand) ([]*trial, error) {
	q, row := asked[i].Question, &gold.Rows[i]
	defer s.advance()
	before, err := s.put(ctx, q, row.Answer, false)
	if err != nil {
		return nil, s.note(ctx, err)
	}
	trials, err := changes(q, row.Answer, before, random)
	if err != nil {
		return nil, err
	}
	if s.first[row.QuestionID] == i {
		trials = append(trials, attacks(q, offTopic(gold, i), random)...)
	}
	trials = append(trials, additions(row.Answer, before, i)...)
	for _, t := range trials {
		if t.question == nil {
			t.question = q
		}
		var after *grading.Grade
		if after, t.err = s.put(ctx, t.question, t.answer, t.fresh); t.err != nil {
			if err := s.note(ctx, t.err); err != nil {
				return nil, err
			}
			continue
		}
		if t.abstained = after.Score == nil || (before.Score == nil && t.kind != Gaming); !t.abstained {
			t.counts, t.points = t.judged(before, after)
		}
	}
	return trials, nil
}

// put has an answer graded.
func (s *suite) put(ctx context.Context, q *rubric.Question, answer string, fresh bool) (*grading.Grade, error) {
	result, err := s.Grader.Grade(ctx, grading.Request{Tenant: s.Tenant, Question: q, Answer: answer, Judge: s.Judge, Fresh: fresh})
	if err != nil {
		return nil, err
	}
	grade, err := result.Record.Grade()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Judge, s.report.Model = grade.Provenance.Judge, grade.Provenance.Model
	s.report.Usage.add(usageOf(result))
	s.progress.Usage = s.report.Usage
	return grade, nil
}

// note counts a failure; its error ends the run.
func (s *suite) note(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Failed++
	s.report.Trials++
	s.last = err
	if s.report.Failed >= hopeless && s.report.Judge == "" {
		return nothingGraded(s.report.Failed, err)
	}
	return nil
}

func (s *suite) advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Done++
	if s.Progress != nil {
		s.Progress(s.progress)
	}
}

// changes are the invariances and sensitivities that apply to an answer.
func changes(q *rubric.Question, answer string, before *grading.Grade, random *rand.Rand) ([]*trial, error) {
	doc := text.Parse(answer)
	var out []*trial
	for _, v := range invariances {
		if other, ok := v.change(doc, random); ok {
			out = append(out, &trial{kind: Invariance, name: v.name, what: v.what, answer: other, judged: moved})
		}
	}
	other, ok, err := turned(q)
	if err != nil {
		return nil, err
	}
	if ok {
		out = append(out, &trial{kind: Invariance, name: "criteria order", what: "criteria in reverse", question: other, answer: answer, judged: moved})
	}
	out = append(out, &trial{kind: Invariance, name: "repeat", what: "the same once more", answer: answer, fresh: true, judged: moved})

	key := keyCriterion(before)
	if key == nil || before.Score == nil || *before.Score < worthBreaking {
		return out, nil
	}
	for _, v := range sensitivities {
		if other, ok := v.change(doc, key, q.Criterion(key.ID)); ok {
			out = append(out, &trial{kind: Sensitivity, name: v.name, what: v.what, answer: other, judged: fell})
		}
	}
	return out, nil
}

// additions say nothing and must win nothing.
func additions(answer string, before *grading.Grade, i int) []*trial {
	if before.Score == nil || *before.Score > roomToGain || strings.TrimSpace(answer) == "" {
		return nil
	}
	return []*trial{
		{kind: Gaming, name: "padding", what: "twice its length of filler added", answer: padded(answer), judged: rose},
		{kind: Gaming, name: "instruction added", what: "an order to the grader added", answer: answer + "\n" + orders[i%len(orders)], judged: rose},
	}
}

// attacks answer nothing and must earn nothing.
func attacks(q *rubric.Question, elsewhere string, random *rand.Rand) []*trial {
	out := []*trial{
		{name: "stuffing", what: "a list of the rubric's words", answer: stuffed(q, random)},
		{name: "shuffled rubric", what: "the rubric's words in no order", answer: shuffled(q, random)},
		{name: "echo", what: "the question over again", answer: q.Text},
		{name: "filler", what: "sentences about nothing", answer: filler},
	}
	if elsewhere != "" {
		out = append(out, &trial{name: "off topic", what: "an answer to another question", answer: elsewhere})
	}
	for _, order := range orders {
		out = append(out, &trial{name: "instruction alone", what: "an order to the grader", answer: order})
	}
	for _, t := range out {
		t.judged = func(_, after *grading.Grade) (bool, float64) { return *after.Score >= pass, *after.Score }
	}
	if q.SampleAnswer != "" {
		// A copy may have half of the points, if a person is told.
		out = append(out, &trial{name: "copied sample", what: "the sample answer itself", answer: q.SampleAnswer,
			judged: func(_, after *grading.Grade) (bool, float64) {
				return *after.Score > pass || !after.Review.Needed, *after.Score
			}})
	}
	for _, t := range out {
		t.kind = Gaming
	}
	return out
}

// offTopic is an answer of gold to another question, "" where there is none:
// the first one half of the file further on.
func offTopic(gold *Gold, i int) string {
	n := len(gold.Rows)
	for k := range n {
		other := &gold.Rows[(i+n/2+k)%n]
		if other.QuestionID != gold.Rows[i].QuestionID && other.Question != gold.Rows[i].Question {
			return other.Answer
		}
	}
	return ""
}

// moved reports a violation: the score moved, or a criterion crossed half
// credit.
func moved(before, after *grading.Grade) (violation bool, points float64) {
	by := math.Abs(*after.Score - *before.Score)
	credit := make(map[string]float64)
	for _, c := range before.Criteria {
		credit[c.ID] = c.Credit
	}
	crossed := false
	for _, c := range after.Criteria {
		crossed = crossed || (c.Credit >= 0.5) != (credit[c.ID] >= 0.5)
	}
	return crossed || by > sameScore, by
}

func fell(before, after *grading.Grade) (falls bool, points float64) {
	by := *after.Score - *before.Score
	return by <= -leastFall, by
}

func rose(before, after *grading.Grade) (paid bool, points float64) {
	by := *after.Score - *before.Score
	return by > leastGain, by
}
