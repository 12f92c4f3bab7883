package eval

import (
	"math"
	"strings"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// rightFrom is the share of the full score from which an answer counts as
// right where people gave more than right and wrong.
const rightFrom = 0.75

// farOff is the distance on 0..1, between the human score and the prediction
// rounded to the human scale, from which a prediction counts as an error in
// the sections on calibration: on a right/wrong scale a wrong side, on a finer
// one more than a quarter of the scale.
const farOff = 0.25

// tiny allows for scores written as decimals.
const tiny = 1e-9

// pair is an answer with both scores, on 0..1.
type pair struct {
	row   *Row
	p     *Prediction
	group int // of the question
	human float64
	score float64
	// rounded is the score at the nearest point of the scale people used.
	rounded float64
	scale   agreement.Scale
	words   int
}

func (p *pair) right() bool { return math.Abs(p.rounded-p.human) <= farOff+tiny }

// used is an answer that was judged; rounded is undefined without a score.
type used struct {
	row     *Row
	group   int
	rounded agreement.Figure
}

// judged is one criterion of one answer that people labelled.
type judged struct {
	group      int
	label      float64
	credit     float64 // as the judge gave it
	rounded    float64 // at the nearest of the labels in use
	confidence float64
	votes      []float64
	// split marks a label of a half that means that the raters disagreed
	// evenly, so that there is no human verdict to agree with.
	split bool
}

// material is what people and the judge said of the same answers.
type material struct {
	pairs    []pair
	criteria []judged
	// used rows were judged, with a score or without.
	used []used
	// threeLevels is true where people also gave half of a criterion.
	threeLevels bool
	// unmatched criteria have a label but no prediction.
	unmatched int
}

// join brings gold and predictions together; answers without a score are left
// out of pairs, never scored 0.
func join(rows []*Row, predictions map[string]*Prediction) *material {
	m := &material{}
	scales := scalesOf(rows)
	levels := agreement.Scale{0, 1}
	for _, r := range rows {
		for id, label := range r.Labels {
			if label == 0.5 && !evenSplit(r, id) {
				m.threeLevels = true
				levels = agreement.Scale{0, 0.5, 1}
			}
		}
	}
	groups := make(map[string]int)
	for _, r := range rows {
		group, known := groups[r.QuestionID]
		if !known {
			group = len(groups)
			groups[r.QuestionID] = group
		}
		p := predictions[r.AnswerID]
		if p == nil {
			continue
		}
		u := used{row: r, group: group}
		if p.Score != nil {
			rounded := scales[r.MaxScore].Nearest(*p.Score)
			u.rounded = agreement.Of(rounded)
			m.pairs = append(m.pairs, pair{
				row: r, p: p, group: group, human: r.Human(), score: *p.Score, rounded: rounded,
				scale: scales[r.MaxScore], words: len(strings.Fields(r.Answer)),
			})
		}
		m.used = append(m.used, u)
		for _, id := range labelled(r) {
			credit, ok := p.Criteria[id]
			if !ok {
				m.unmatched++
				continue
			}
			m.criteria = append(m.criteria, judged{
				group: group, label: r.Labels[id], credit: credit, rounded: levels.Nearest(credit),
				confidence: p.CriterionConfidence[id], votes: r.Votes[id], split: evenSplit(r, id),
			})
		}
	}
	return m
}

// scalesOf lists, for each full score, the scores people gave with it, on
// 0..1, with nothing and everything.
func scalesOf(rows []*Row) map[float64]agreement.Scale {
	scales := make(map[float64]agreement.Scale)
	for _, r := range rows {
		if scales[r.MaxScore] == nil {
			scales[r.MaxScore] = agreement.NewScale(0, 1)
		}
		scales[r.MaxScore] = scales[r.MaxScore].With(r.Human())
	}
	return scales
}

func evenSplit(r *Row, criterion string) bool {
	votes := r.Votes[criterion]
	sum := 0.0
	for _, v := range votes {
		sum += v
	}
	return len(votes) > 0 && sum*2 == float64(len(votes))
}

// labelled lists the criteria of a row that have a label: those it defines in
// their order, then any others by name.
func labelled(r *Row) []string {
	var out []string
	seen := make(map[string]bool)
	for _, c := range r.Criteria {
		if _, ok := r.Labels[c.ID]; ok && !seen[c.ID] {
			out = append(out, c.ID)
			seen[c.ID] = true
		}
	}
	for _, id := range sortedKeys(r.Labels) {
		if !seen[id] {
			out = append(out, id)
		}
	}
	return out
}

// Named is a statistic under the name it has in JSON.
type Named struct {
	Name string
	agreement.Estimate
}

// statistic computes one figure of a sample of rows.
type statistic[T any] struct {
	name string
	of   func(s []T, groups []int) agreement.Figure
}

// estimates computes statistics with their intervals.
func estimates[T any](data []T, group func(*T) int, b Bootstrap, statistics []statistic[T]) []Named {
	groups := make([]int, len(data))
	for i := range data {
		groups[i] = group(&data[i])
	}
	sample := make([]T, 0, len(data))
	found := agreement.Bootstrap(groups, b.By, b.Rounds, b.Seed, func(s agreement.Sample) []agreement.Figure {
		sample = sample[:0]
		for _, row := range s.Rows {
			sample = append(sample, data[row])
		}
		out := make([]agreement.Figure, len(statistics))
		for i, st := range statistics {
			out[i] = st.of(sample, s.Groups)
		}
		return out
	})
	out := make([]Named, len(statistics))
	for i, st := range statistics {
		out[i] = Named{st.name, found[i]}
	}
	return out
}

// onScores makes a statistic of human and predicted score.
func onScores(f func(gold, pred []float64) agreement.Figure) func([]pair, []int) agreement.Figure {
	return func(s []pair, _ []int) agreement.Figure { return f(column(s, human), column(s, score)) }
}

// onScale makes a statistic of human score and prediction on the human scale.
func onScale(f func(gold, pred []float64) agreement.Figure) func([]pair, []int) agreement.Figure {
	return func(s []pair, _ []int) agreement.Figure { return f(column(s, human), column(s, rounded)) }
}

func human(p *pair) float64   { return p.human }
func score(p *pair) float64   { return p.score }
func rounded(p *pair) float64 { return p.rounded }

func column[T, V any](s []T, of func(*T) V) []V {
	out := make([]V, len(s))
	for i := range s {
		out[i] = of(&s[i])
	}
	return out
}

func twoWay(s []pair) agreement.Confusion {
	return agreement.Confuse(
		column(s, func(p *pair) bool { return p.human >= rightFrom-tiny }),
		column(s, func(p *pair) bool { return p.rounded >= rightFrom-tiny }),
	)
}

func quadratic(x, y []float64) agreement.Figure {
	return agreement.Kappa(x, y, agreement.Quadratic)
}

// scoreStatistics are the figures on whole answers. Errors are on 0..1.
var scoreStatistics = []statistic[pair]{
	{"pearson", onScores(agreement.Pearson)},
	{"spearman", onScores(agreement.Spearman)},
	{"pearson_per_question", func(s []pair, groups []int) agreement.Figure {
		return agreement.PearsonWithin(groups, column(s, human), column(s, score))
	}},
	{"qwk", onScale(quadratic)},
	{"exact", onScale(agreement.Exact)},
	{"acc2", func(s []pair, _ []int) agreement.Figure { return twoWay(s).Accuracy() }},
	{"f1_2", func(s []pair, _ []int) agreement.Figure { return twoWay(s).MacroF1() }},
	{"mae", onScores(agreement.MAE)},
	{"rmse", onScores(agreement.RMSE)},
	{"wrmse", onScores(agreement.WeightedRMSE)},
	{"bias", onScores(agreement.Bias)},
	{"smd", onScores(agreement.StandardisedDifference)},
	{"length_r", func(s []pair, _ []int) agreement.Figure {
		return agreement.LengthCorrelation(column(s, human), column(s, score), column(s, func(p *pair) int { return p.words }))
	}},
}

// decided leaves out the criteria on which the raters were split.
func decided(s []judged) (label, rounded []float64) {
	for i := range s {
		if !s[i].split {
			label = append(label, s[i].label)
			rounded = append(rounded, s[i].rounded)
		}
	}
	return label, rounded
}

func onCriteria(f func(gold, pred []float64) agreement.Figure) func([]judged, []int) agreement.Figure {
	return func(s []judged, _ []int) agreement.Figure { return f(decided(s)) }
}

// onMet makes a statistic of met and not met.
func onMet(f func(agreement.Confusion) agreement.Figure) func([]judged, []int) agreement.Figure {
	return func(s []judged, _ []int) agreement.Figure {
		label, rounded := decided(s)
		met := func(v *float64) bool { return *v > rightFrom }
		return f(agreement.Confuse(column(label, met), column(rounded, met)))
	}
}

func weighted(w agreement.Weighting) func(x, y []float64) agreement.Figure {
	return func(x, y []float64) agreement.Figure { return agreement.Kappa(x, y, w) }
}

// criterionStatistics are the figures on single criteria.
var criterionStatistics = []statistic[judged]{
	{"crit_acc", onCriteria(agreement.Exact)},
	{"crit_f1", onCriteria(agreement.MacroF1)},
	{"crit_kappa", onCriteria(weighted(agreement.Unweighted))},
	{"crit_linear_kappa", onCriteria(weighted(agreement.Linear))},
	{"crit_qwk", onCriteria(quadratic)},
	{"crit_met_bias", onMet(agreement.Confusion.YesBias)},
	{"crit_tpr", onMet(agreement.Confusion.TPR)},
	{"crit_tnr", onMet(agreement.Confusion.TNR)},
	{"crit_vs_rater_acc", func(s []judged, _ []int) agreement.Figure { return againstRaters(s, agreement.Exact) }},
	{"crit_vs_rater_kappa", func(s []judged, _ []int) agreement.Figure {
		return againstRaters(s, weighted(agreement.Unweighted))
	}},
}

// againstRaters is the mean agreement of the judge with each single rater.
func againstRaters(s []judged, f func(gold, pred []float64) agreement.Figure) agreement.Figure {
	var voted []judged
	for i := range s {
		if len(s[i].votes) > 0 {
			voted = append(voted, s[i])
		}
	}
	said := column(voted, func(j *judged) float64 { return agreement.Scale{0, 1}.Nearest(j.rounded) })
	raters := fewest(voted)
	figures := make([]agreement.Figure, 0, raters)
	for k := range raters {
		figures = append(figures, f(column(voted, func(j *judged) float64 { return j.votes[k] }), said))
	}
	return agreement.MeanOf(figures...)
}

func fewest(s []judged) int {
	least := 0
	for i := range s {
		if n := len(s[i].votes); i == 0 || n < least {
			least = n
		}
	}
	return least
}
