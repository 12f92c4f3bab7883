package lexical

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// goldRow is an answer with human scores, in a file outside the repository.
type goldRow struct {
	QuestionID       string             `json:"question_id"`
	Question         string             `json:"question"`
	ReferenceAnswers []string           `json:"reference_answers"`
	AnswerID         string             `json:"answer_id"`
	Answer           string             `json:"answer"`
	HumanScore       float64            `json:"human_score"`
	MaxScore         float64            `json:"max_score"`
	CriterionLabels  map[string]float64 `json:"criterion_labels"`
	Criteria         []struct {
		ID     string  `json:"id"`
		Text   string  `json:"text"`
		Weight float64 `json:"weight"`
	} `json:"criteria"`
}

// dataFile finds a file of human-scored data; "" where there is none.
func dataFile(name string) string {
	file := filepath.Join("..", "..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

func readRows[T any](t testing.TB, name string) []T {
	file := dataFile(name)
	if file == "" {
		return nil
	}
	return rowsOf[T](t, file)
}

func rowsOf[T any](t testing.TB, file string) []T {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var rows []T
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<22)
	for scan.Scan() {
		var row T
		require.NoError(t, json.Unmarshal(scan.Bytes(), &row))
		rows = append(rows, row)
	}
	require.NoError(t, scan.Err())
	return rows
}

// goldQuestion makes a question of a row: of its criteria, or of its reference
// answers as the phrasings of one.
func goldQuestion(t testing.TB, r *goldRow) *rubric.Question {
	q := rubric.Question{Text: r.Question}
	for _, c := range r.Criteria {
		q.Criteria = append(q.Criteria, rubric.Criterion{ID: c.ID, Statement: c.Text, Weight: c.Weight})
	}
	if len(r.Criteria) == 0 {
		first := []rune(r.ReferenceAnswers[0])
		q.Criteria = []rubric.Criterion{{ID: "c1", Statement: string(first[:min(len(first), 2000)]), Phrases: r.ReferenceAnswers[1:]}}
	}
	inline, err := rubric.Inline(q)
	require.NoError(t, err)
	return inline
}

func judged(t testing.TB, j *Judge, q *rubric.Question, answer string) []judge.Finding {
	out, err := j.Judge(context.Background(), judge.Task{Question: q, Answer: answer})
	require.NoError(t, err)
	return out.Findings
}

// points is the score of grading's tally, 0..100.
func points(q *rubric.Question, findings []judge.Finding) float64 {
	core, weight, bonus, pitfalls := 0.0, 0.0, 0.0, 0.0
	for i, f := range findings {
		c := q.Criteria[i]
		credit := float64(f.Credit) / judge.FullCredit
		switch c.Kind {
		case rubric.Bonus:
			bonus += c.Weight * credit
		case rubric.Pitfall:
			pitfalls += c.Weight * credit
		default:
			core += c.Weight * credit
			weight += c.Weight
		}
	}
	return min(max(100*core/weight+min(bonus, 5)+pitfalls, 0), 100)
}

// sample is one answer with what people and the judge think of it.
type scored struct {
	question         string
	human, predicted float64
}

func (s scored) right() bool { return s.human >= 0.75 }

func pearson(rows []scored) float64 {
	var mx, my, xy, xx, yy float64
	n := float64(len(rows))
	for _, r := range rows {
		mx += r.predicted / n
		my += r.human / n
	}
	for _, r := range rows {
		xy += (r.predicted - mx) * (r.human - my)
		xx += (r.predicted - mx) * (r.predicted - mx)
		yy += (r.human - my) * (r.human - my)
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

func spearman(rows []scored) float64 {
	ranked := slices.Clone(rows)
	rank(ranked, func(r *scored) *float64 { return &r.human })
	rank(ranked, func(r *scored) *float64 { return &r.predicted })
	return pearson(ranked)
}

func rank(rows []scored, field func(*scored) *float64) {
	slices.SortStableFunc(rows, func(a, b scored) int {
		switch d := *field(&a) - *field(&b); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	for i := 0; i < len(rows); {
		j := i
		for j < len(rows) && *field(&rows[j]) == *field(&rows[i]) {
			j++
		}
		for k := i; k < j; k++ {
			defer func(r *scored, v float64) { *field(r) = v }(&rows[k], float64(i+j-1)/2)
		}
		i = j
	}
}

// auc is the chance that a right answer is above a wrong one.
func auc(rows []scored) float64 {
	wins, pairs := 0.0, 0.0
	for _, a := range rows {
		for _, b := range rows {
			if a.right() && !b.right() {
				pairs++
				switch {
				case a.predicted > b.predicted:
					wins++
				case a.predicted == b.predicted:
					wins += 0.5
				}
			}
		}
	}
	return wins / max(pairs, 1)
}

// macroF1 is the mean F1 of right and wrong, predictions cut at cut.
func macroF1(rows []scored, cut float64) float64 {
	var tp, fp, fn, tn float64
	for _, r := range rows {
		switch predicted := r.predicted >= cut; {
		case predicted && r.right():
			tp++
		case predicted:
			fp++
		case r.right():
			fn++
		default:
			tn++
		}
	}
	return (2*tp/max(2*tp+fp+fn, 1) + 2*tn/max(2*tn+fp+fn, 1)) / 2
}

func kappa(rows []scored) float64 {
	n, agree, h, p := float64(len(rows)), 0.0, 0.0, 0.0
	for _, r := range rows {
		human, predicted := r.human > 0.5, r.predicted >= 0.5
		if human == predicted {
			agree += 1 / n
		}
		if human {
			h += 1 / n
		}
		if predicted {
			p += 1 / n
		}
	}
	chance := h*p + (1-h)*(1-p)
	if chance == 1 {
		return 0
	}
	return (agree - chance) / (1 - chance)
}

// perQuestion is the mean of Pearson within questions of five answers or more.
func perQuestion(rows []scored) float64 {
	groups := map[string][]scored{}
	for _, r := range rows {
		groups[r.question] = append(groups[r.question], r)
	}
	sum, n := 0.0, 0.0
	for _, g := range groups {
		vary := slices.ContainsFunc(g, func(r scored) bool { return r.human != g[0].human })
		if len(g) >= 5 && vary {
			sum += pearson(g)
			n++
		}
	}
	return sum / max(n, 1)
}

// overlap is the plain baseline: F1 of distinct content stems with the best
// reference or, without one, the criterion.
func overlap(texts []string, answer string) float64 {
	set := func(s string) map[string]bool {
		out := map[string]bool{}
		for _, t := range text.Parse(s).Tokens {
			if t.Class != text.Function {
				out[t.Stem] = true
			}
		}
		return out
	}
	a, best := set(answer), 0.0
	for _, ref := range texts {
		b, common := set(ref), 0.0
		for w := range b {
			if a[w] {
				common++
			}
		}
		best = max(best, 2*common/float64(max(len(a)+len(b), 1)))
	}
	return best
}

// bestCut is the cut with the best macro F1 in sample: what a baseline could
// reach at most.
func bestCut(rows []scored) (cut, f1 float64) {
	for c := 0.05; c < 1; c += 0.05 {
		if f := macroF1(rows, c); f > f1 {
			cut, f1 = c, f
		}
	}
	return cut, f1
}

var goldSets = []string{"scientsbank", "beetle", "saf_en", "khan_saq", "physics_partial"}

type goldResult struct {
	rows, plain, criteria []scored
	cut                   float64
}

func gradeGold(t testing.TB, name string) goldResult {
	rows := readRows[goldRow](t, "gold/"+name+".jsonl")
	j := New()
	questions := map[string]*rubric.Question{}
	var out goldResult
	out.cut = 0.5
	for i := range rows {
		r := &rows[i]
		if questions[r.QuestionID] == nil {
			questions[r.QuestionID] = goldQuestion(t, r)
		}
		q := questions[r.QuestionID]
		findings := judged(t, j, q, r.Answer)
		human := r.HumanScore / r.MaxScore
		if human > 0 && human < 1 {
			out.cut = 0.75
		}
		out.rows = append(out.rows, scored{r.QuestionID, human, points(q, findings) / 100})
		refs := r.ReferenceAnswers
		if len(refs) == 0 {
			refs = []string{r.Criteria[0].Text}
		}
		out.plain = append(out.plain, scored{r.QuestionID, human, overlap(refs, r.Answer)})
		for k, c := range r.Criteria {
			if label, ok := r.CriterionLabels[c.ID]; ok && label != 0.5 {
				out.criteria = append(out.criteria, scored{r.QuestionID, label, float64(findings[k].Credit) / judge.FullCredit})
			}
		}
	}
	return out
}

// goldFloors are what the judge must keep on the data it was built with: a little
// below what it reaches, for these are no promise, and well above plain overlap
// where that is what is said.
var goldFloors = map[string]struct{ f1, r, aboveOverlap, kappa float64 }{
	"scientsbank":     {f1: 0.72, r: 0.48, aboveOverlap: 0.10},
	"beetle":          {f1: 0.74, r: 0.48},
	"saf_en":          {r: 0.42, aboveOverlap: 0.10},
	"khan_saq":        {r: 0.49, kappa: 0.42},
	"physics_partial": {r: 0.66, kappa: 0.52},
}

// TestHumanScores holds the judge against people, where the data are at hand,
// and prints how they agree.
func TestHumanScores(t *testing.T) {
	t.Parallel()
	for _, name := range goldSets {
		if dataFile("gold/"+name+".jsonl") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gradeGold(t, name)
			cut, best := bestCut(g.rows)
			_, plain := bestCut(g.plain)
			t.Logf("n=%d r=%.3f rho=%.3f r/question=%.3f auc=%.3f f1=%.3f (best %.3f at %.2f)\nplain overlap: r=%.3f auc=%.3f best f1=%.3f",
				len(g.rows), pearson(g.rows), spearman(g.rows), perQuestion(g.rows), auc(g.rows), macroF1(g.rows, g.cut), best, cut,
				pearson(g.plain), auc(g.plain), plain)
			floor := goldFloors[name]
			require.GreaterOrEqual(t, macroF1(g.rows, g.cut), floor.f1)
			require.GreaterOrEqual(t, pearson(g.rows), floor.r)
			if floor.aboveOverlap > 0 {
				require.GreaterOrEqual(t, pearson(g.rows), pearson(g.plain)+floor.aboveOverlap)
			}
			if len(g.criteria) > 0 {
				t.Logf("criteria: n=%d kappa=%.3f auc=%.3f", len(g.criteria), kappa(g.criteria), auc(g.criteria))
				require.GreaterOrEqual(t, kappa(g.criteria), floor.kappa)
			}
		})
	}
}
