package eval

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// Bootstrap says how intervals are drawn. An empty By means whole questions
// where there are at least 5, else single answers.
type Bootstrap struct {
	By     agreement.By `json:"by"`
	Rounds int          `json:"rounds"`
	Seed   uint64       `json:"seed"`
}

// fewQuestions is the number below which drawing whole questions says nothing;
// someQuestions the number below which its intervals are too narrow.
const (
	fewQuestions  = 5
	someQuestions = 20
)

// Report is how well the judge agrees with people. Scores and errors are on
// 0..1 in JSON; figures that are undefined are null.
type Report struct {
	Gold       string `json:"gold"`
	GoldDigest string `json:"gold_digest"`
	Run        string `json:"run"`
	Judge      string `json:"judge"`
	Model      string `json:"model,omitempty"`
	Counts     Counts `json:"counts"`
	Usage      Usage  `json:"usage"`
	// Latency is of the answers graded in this run, in seconds.
	Latency *Latency `json:"latency,omitempty"`
	// Gate is the figure that --min-agreement is held against.
	Gate Gate `json:"gate"`
	// All is about the whole file; Datasets about each of several in it.
	All      Section   `json:"all"`
	Datasets []Section `json:"datasets,omitempty"`
	// Worst has the answers furthest from the human score, on request.
	Worst []Disagreement `json:"worst,omitempty"`
	// Calibrated is set where corrections were fitted.
	Calibrated *Calibrated `json:"calibrated,omitempty"`
}

// Counts says what became of the answers. Scored, Abstained, Failed and
// Missing add up to Answers.
type Counts struct {
	Answers   int `json:"answers"`
	Questions int `json:"questions"`
	Scored    int `json:"scored"`
	// Abstained answers were judged without a score; they are not 0.
	Abstained int `json:"abstained"`
	// Failed answers could not be put to the judge.
	Failed int `json:"failed"`
	// Missing answers were not reached.
	Missing int `json:"missing"`
	// NeedsReview counts the grades, scored or not, that a person should see.
	NeedsReview int `json:"needs_review"`
	// Corrected counts the scores that a calibration has moved.
	Corrected int `json:"corrected"`
	Resumed   int `json:"resumed"`
	Cached    int `json:"cached"`
	// Labelled criteria without a prediction: not assessed, or not in the
	// rubric that was graded by.
	CriteriaUnmatched int `json:"criteria_unmatched"`
}

// Latency is how long grading one answer took, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// Gate is the one figure that decides: macro-F1 where people only said right
// or wrong, else Pearson.
type Gate struct {
	Name  string           `json:"name"`
	Value agreement.Figure `json:"value"`
}

// Met reports whether the figure reaches least. One that is undefined does not.
func (g Gate) Met(least float64) bool {
	v, ok := g.Value.Value()
	return ok && v >= least
}

// Section is what was found about one collection of answers.
type Section struct {
	Name      string    `json:"name"`
	Answers   int       `json:"answers"`
	Questions int       `json:"questions"`
	TwoWay    bool      `json:"two_way"`
	Intervals Bootstrap `json:"intervals"`
	Scores    Figures   `json:"scores"`
	// CriterionJudgements is how many labelled criteria Criteria rests on.
	CriterionJudgements int `json:"criterion_judgements"`
	// ThreeLevels is true where people also gave half of a criterion.
	ThreeLevels bool    `json:"three_levels"`
	Criteria    Figures `json:"criteria"`
	// Humans is how people agree with each other on the same answers.
	Humans      Figures     `json:"humans"`
	Calibration Calibration `json:"calibration"`
	Bands       []Band      `json:"bands"`
}

// Calibration says what the judge's confidence is worth. An answer counts as
// an error when its score, rounded to the human scale, is more than a quarter
// of the scale from the human one.
type Calibration struct {
	Errors   int     `json:"errors"`
	Answers  Figures `json:"answers"`
	Criteria Figures `json:"criteria"`
}

// Band is one part of the human scale.
type Band struct {
	Name    string           `json:"name"`
	Answers int              `json:"answers"`
	MAE     agreement.Figure `json:"mae"`
	Bias    agreement.Figure `json:"bias"`
}

// Disagreement is an answer on which people and judge differ.
type Disagreement struct {
	AnswerID   string             `json:"answer_id"`
	QuestionID string             `json:"question_id"`
	Question   string             `json:"question"`
	Answer     string             `json:"answer"`
	Human      float64            `json:"human"`
	Score      float64            `json:"score"`
	Confidence float64            `json:"confidence"`
	Labels     map[string]float64 `json:"criterion_labels,omitempty"`
	Criteria   map[string]float64 `json:"criteria,omitempty"`
}

// Figures are statistics in the order they are shown in; in JSON an object.
type Figures []Named

// Get returns a statistic by name; the zero Estimate where there is none.
func (fs Figures) Get(name string) agreement.Estimate {
	for _, f := range fs {
		if f.Name == name {
			return f.Estimate
		}
	}
	return agreement.Estimate{}
}

// MarshalJSON writes an object with a member for each statistic.
func (fs Figures) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Estimate)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// NewReport measures an outcome against gold. It shows the worst disagreements
// with their answers: as many as asked for.
func NewReport(name string, gold *Gold, out *Outcome, b Bootstrap, worst int) *Report {
	r := &Report{
		Gold: name, GoldDigest: gold.Digest, Run: out.Run,
		Usage: out.Progress.Usage, Latency: latency(out.Latencies),
	}
	rows := make([]*Row, len(gold.Rows))
	for i := range rows {
		rows[i] = &gold.Rows[i]
	}
	all := join(rows, out.Predictions)
	r.count(rows, out, all)
	r.All = section("all", rows, all, b)

	r.Gate = Gate{Name: "pearson", Value: r.All.Scores.Get("pearson").Value}
	if r.All.TwoWay {
		r.Gate = Gate{Name: "f1_2", Value: r.All.Scores.Get("f1_2").Value}
	}
	if names := datasets(rows); len(names) > 1 {
		for _, name := range names {
			part := slices.DeleteFunc(slices.Clone(rows), func(row *Row) bool { return row.Dataset != name })
			r.Datasets = append(r.Datasets, section(name, part, join(part, out.Predictions), b))
		}
	}
	r.Worst = disagreements(all, worst)
	return r
}

func (r *Report) count(rows []*Row, out *Outcome, m *material) {
	r.Counts = Counts{
		Answers: len(rows), Questions: questions(rows), Scored: len(m.pairs), Failed: len(out.Failures),
		Resumed: out.Progress.Resumed, Cached: out.Progress.Cached, CriteriaUnmatched: m.unmatched,
	}
	for _, row := range rows {
		p := out.Predictions[row.AnswerID]
		if p == nil {
			continue
		}
		r.Judge, r.Model = cmp.Or(r.Judge, p.Judge), cmp.Or(r.Model, p.Model)
		if p.Score == nil {
			r.Counts.Abstained++
		}
		if len(p.Review) > 0 {
			r.Counts.NeedsReview++
		}
		if p.Calibration != "" {
			r.Counts.Corrected++
		}
	}
	r.Counts.Missing = r.Counts.Answers - r.Counts.Scored - r.Counts.Abstained - r.Counts.Failed
}

// Complete reports whether every answer has a score.
func (r *Report) Complete() bool { return r.Counts.Scored == r.Counts.Answers }

func questions(rows []*Row) int {
	seen := make(map[string]bool)
	for _, r := range rows {
		seen[r.QuestionID] = true
	}
	return len(seen)
}

func datasets(rows []*Row) []string {
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.Dataset) {
			names = append(names, r.Dataset)
		}
	}
	return names
}

func section(name string, rows []*Row, m *material, b Bootstrap) Section {
	s := Section{Name: name, Answers: len(m.pairs), Questions: questions(rows), TwoWay: (&Gold{Rows: deref(rows)}).TwoWay()}
	if b.By == "" {
		b.By = intervalsBy(s.Questions)
	}
	s.Intervals = b
	group := func(p *pair) int { return p.group }
	s.Scores = estimates(m.pairs, group, b, scoreStatistics)
	s.CriterionJudgements, s.ThreeLevels = len(m.criteria), m.threeLevels
	if len(m.criteria) > 0 {
		s.Criteria = estimates(m.criteria, func(j *judged) int { return j.group }, b, criterionStatistics)
	}
	s.Humans = ceilings(m, b)
	s.Calibration = confidenceOf(m, b)
	s.Bands = byBand(m.pairs)
	return s
}

// intervalsBy is what to draw for answers to so many questions.
func intervalsBy(questions int) agreement.By {
	if questions < fewQuestions {
		return agreement.ByRow
	}
	return agreement.ByQuestion
}

func deref(rows []*Row) []Row {
	out := make([]Row, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out
}

// reviewShare is the share of the answers a person reviews, the least
// confident ones, in the figures on errors caught.
const reviewShare = 0.15

// calibrationBins is how many bins of equal mass the ECE takes.
const calibrationBins = 10

func confidenceOf(m *material, b Bootstrap) Calibration {
	c := Calibration{}
	for i := range m.pairs {
		if !m.pairs[i].right() {
			c.Errors++
		}
	}
	if len(m.pairs) > 0 {
		c.Answers = estimates(m.pairs, func(p *pair) int { return p.group }, b, confidenceStatistics(
			func(p *pair) float64 { return p.p.Confidence }, (*pair).right))
	}
	decided := slices.DeleteFunc(slices.Clone(m.criteria), func(j judged) bool { return j.split })
	if len(decided) > 0 {
		c.Criteria = estimates(decided, func(j *judged) int { return j.group }, b, confidenceStatistics(
			func(j *judged) float64 { return j.confidence },
			func(j *judged) bool { return math.Abs(j.label-j.rounded) < tiny }))
	}
	return c
}

func confidenceStatistics[T any](confidence func(*T) float64, right func(*T) bool) []statistic[T] {
	on := func(f func(confidence []float64, right []bool) agreement.Figure) func([]T, []int) agreement.Figure {
		return func(s []T, _ []int) agreement.Figure { return f(column(s, confidence), column(s, right)) }
	}
	return []statistic[T]{
		{"ece", on(func(c []float64, r []bool) agreement.Figure { return agreement.ECE(c, r, calibrationBins) })},
		{"brier", on(agreement.Brier)},
		{"error_auc", on(agreement.ErrorDetection)},
		{"caught_15", on(func(c []float64, r []bool) agreement.Figure { return agreement.CaughtErrors(c, r, reviewShare) })},
		{"risk_100", on(func(c []float64, r []bool) agreement.Figure { return agreement.RiskAt(c, r, 1) })},
		{"risk_85", on(func(c []float64, r []bool) agreement.Figure { return agreement.RiskAt(c, r, 1-reviewShare) })},
		{"risk_50", on(func(c []float64, r []bool) agreement.Figure { return agreement.RiskAt(c, r, 0.5) })},
	}
}

// byBand looks at the low, middle and high third of the human scale: the
// middle is where judges fail first.
func byBand(pairs []pair) []Band {
	bands := []Band{{Name: "low"}, {Name: "middle"}, {Name: "high"}}
	parts := make([][]pair, len(bands))
	for _, p := range pairs {
		k := 1
		if p.human < 1.0/3-tiny {
			k = 0
		} else if p.human > 2.0/3+tiny {
			k = 2
		}
		parts[k] = append(parts[k], p)
	}
	for i, part := range parts {
		bands[i].Answers = len(part)
		bands[i].MAE = agreement.MAE(column(part, human), column(part, score))
		bands[i].Bias = agreement.Bias(column(part, human), column(part, score))
	}
	return bands
}

// disagreements are the answers furthest from the human score.
func disagreements(m *material, n int) []Disagreement {
	order := slices.Clone(m.pairs)
	slices.SortStableFunc(order, func(a, b pair) int {
		return cmp.Compare(math.Abs(b.score-b.human), math.Abs(a.score-a.human))
	})
	var out []Disagreement
	for _, p := range order[:min(max(n, 0), len(order))] {
		out = append(out, Disagreement{
			AnswerID: p.row.AnswerID, QuestionID: p.row.QuestionID, Question: p.row.Question, Answer: p.row.Answer,
			Human: p.human, Score: p.score, Confidence: p.p.Confidence, Labels: p.row.Labels, Criteria: p.p.Criteria,
		})
	}
	return out
}

func latency(took []time.Duration) *Latency {
	if len(took) == 0 {
		return nil
	}
	took = slices.Clone(took)
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() }
	return &Latency{P50: at(0.5), P95: at(0.95)}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
