package grading

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// core, bonus and pitfall build the criterion and its finding side by side, so
// that a case below reads like the sum it stands for.
type line struct {
	criterion rubric.Criterion
	finding   judge.Finding
}

func core(weight float64, v judge.Verdict) line    { return item(rubric.Core, weight, v) }
func bonus(weight float64, v judge.Verdict) line   { return item(rubric.Bonus, weight, v) }
func pitfall(weight float64, v judge.Verdict) line { return item(rubric.Pitfall, weight, v) }

func item(kind rubric.CriterionKind, weight float64, v judge.Verdict) line {
	return line{
		rubric.Criterion{Kind: kind, Weight: weight},
		judge.Finding{Verdict: v, Credit: v.Credit(), Confidence: 1},
	}
}

func (l line) credit(thousandths int) line {
	l.finding.Verdict, l.finding.Credit = judge.Partial, thousandths
	return l
}

func sheet(lines ...line) (*rubric.Question, []judge.Finding) {
	q := &rubric.Question{}
	var findings []judge.Finding
	for i, l := range lines {
		id := string(rune('a' + i))
		l.criterion.ID, l.finding.CriterionID = id, id
		q.Criteria = append(q.Criteria, l.criterion)
		findings = append(findings, l.finding)
	}
	return q, findings
}

func TestTally(t *testing.T) {
	t.Parallel()
	const (
		met, partial, missed, contradicted, unknown = judge.Met, judge.Partial, judge.Missed, judge.Contradicted, judge.CannotAssess
	)
	for name, tc := range map[string]struct {
		lines []line
		want  float64
		band  Band
	}{
		"everything met is a hundred":        {[]line{core(60, met), core(40, met)}, 100, Strong},
		"nothing met is zero":                {[]line{core(60, missed), core(40, contradicted)}, 0, Weak},
		"partial earns half":                 {[]line{core(60, met), core(40, partial)}, 80, Strong},
		"a lexical partial earns its share":  {[]line{core(100, met).credit(333)}, 33.3, Weak},
		"thirds add up without a drift":      {[]line{core(33.333, met), core(33.333, met), core(33.334, met)}, 100, Strong},
		"half a tenth rounds up":             {[]line{core(12.5, met), core(87.5, missed)}, 12.5, Weak},
		"unknown leaves both sums":           {[]line{core(40, met), core(30, missed), core(30, unknown)}, 57.1, Developing}, // 40/70
		"bonus adds":                         {[]line{core(50, met), core(50, missed), bonus(5, met)}, 55, Developing},
		"bonus adds five at most":            {[]line{core(50, met), core(50, missed), bonus(4, met), bonus(4, met)}, 55, Developing},
		"bonus never lifts above a hundred":  {[]line{core(100, met), bonus(5, met)}, 100, Strong},
		"a pitfall shown costs points":       {[]line{core(100, met), pitfall(-10, met)}, 90, Strong},
		"half a pitfall costs half":          {[]line{core(100, met), pitfall(-10, partial)}, 95, Strong},
		"a pitfall avoided costs nothing":    {[]line{core(100, met), pitfall(-10, missed)}, 100, Strong},
		"pitfalls never go below zero":       {[]line{core(100, missed), pitfall(-10, met)}, 0, Weak},
		"an unknown pitfall costs nothing":   {[]line{core(100, met), pitfall(-10, unknown)}, 100, Strong},
		"eighty as shown is strong":          {[]line{core(79.96, met), core(20.04, missed)}, 80, Strong},
		"just under sixty as shown is below": {[]line{core(59.94, met), core(40.06, missed)}, 59.9, Developing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tally(sheet(tc.lines...))
			require.True(t, got.known)
			require.InDelta(t, tc.want, *got.score(), 1e-9)
			require.Equal(t, tc.band, *got.band())
		})
	}
}

func TestTooLittleAssessedIsNoScore(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]line{
		"nothing assessed":        {core(100, judge.CannotAssess)},
		"less than half assessed": {core(49, judge.Met), core(51, judge.CannotAssess)},
		"only bonus assessed":     {core(100, judge.CannotAssess), bonus(5, judge.Met)},
	} {
		got := tally(sheet(lines...))
		require.Nil(t, got.score(), name)
		require.Nil(t, got.band(), name)
	}
	half := tally(sheet(core(50, judge.Met), core(50, judge.CannotAssess)))
	require.InDelta(t, 100, *half.score(), 0, "half is enough")
}

var anyVerdict = rapid.SampledFrom([]judge.Verdict{judge.Met, judge.Partial, judge.Missed, judge.Contradicted, judge.CannotAssess})

func drawLine(t *rapid.T) line {
	kind := rapid.SampledFrom([]rubric.CriterionKind{rubric.Core, rubric.Core, rubric.Core, rubric.Bonus, rubric.Pitfall}).Draw(t, "kind")
	weight := rapid.Float64Range(.5, 40).Draw(t, "weight")
	if kind == rubric.Pitfall {
		weight = -weight
	}
	l := item(kind, weight, anyVerdict.Draw(t, "verdict"))
	if l.finding.Verdict == judge.Partial {
		l = l.credit(rapid.IntRange(1, 999).Draw(t, "credit"))
	}
	return l
}

func TestTallyKeepsWithinTheRubric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(drawLine), 1, 12).Draw(t, "lines")
		q, findings := sheet(lines...)
		got := tally(q, findings)
		if !got.known {
			return
		}
		require.GreaterOrEqual(t, got.value, 0)
		require.LessOrEqual(t, got.value, fullScore)

		// More credit on an assessed core criterion never lowers the score, and
		// the order of the criteria is nothing to it.
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "raised")
		if q.Criteria[i].Kind == rubric.Core && findings[i].Verdict != judge.CannotAssess {
			raised := append([]judge.Finding(nil), findings...)
			raised[i].Verdict, raised[i].Credit = judge.Met, judge.FullCredit
			require.GreaterOrEqual(t, tally(q, raised).value, got.value)
		}
		turned := append(append([]line(nil), lines[i:]...), lines[:i]...)
		require.InDelta(t, got.value, tally(sheet(turned...)).value, 1)
	})
}

func TestScalingAllWeightsChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) line {
			return core(float64(rapid.IntRange(1, 50).Draw(t, "weight")), anyVerdict.Draw(t, "verdict"))
		}), 1, 9).Draw(t, "lines")
		scaled := append([]line(nil), lines...)
		for i := range scaled {
			scaled[i].criterion.Weight *= 3
		}
		require.Equal(t, tally(sheet(lines...)), tally(sheet(scaled...)))
	})
}

func TestAnImpossibleJudgementIsRefused(t *testing.T) {
	t.Parallel()
	good := func() (*rubric.Question, []judge.Finding) {
		return sheet(core(50, judge.Met), core(50, judge.Partial))
	}
	q, findings := good()
	require.NoError(t, check(q, findings))
	for name, spoil := range map[string]func(f []judge.Finding) []judge.Finding{
		"a criterion is missing":        func(f []judge.Finding) []judge.Finding { return f[:1] },
		"a criterion comes twice":       func(f []judge.Finding) []judge.Finding { return append(f, f[0]) },
		"the order is another":          func(f []judge.Finding) []judge.Finding { return []judge.Finding{f[1], f[0]} },
		"a verdict off the menu":        func(f []judge.Finding) []judge.Finding { f[0].Verdict = "excellent"; return f },
		"met without full credit":       func(f []judge.Finding) []judge.Finding { f[0].Credit = 999; return f },
		"partial with full credit":      func(f []judge.Finding) []judge.Finding { f[1].Credit = 1000; return f },
		"missed with credit":            func(f []judge.Finding) []judge.Finding { f[0].Verdict = judge.Missed; return f },
		"more credit than there is":     func(f []judge.Finding) []judge.Finding { f[0].Credit = 2000; return f },
		"confidence that is not likely": func(f []judge.Finding) []judge.Finding { f[0].Confidence = 1.5; return f },
	} {
		q, findings := good()
		require.Error(t, check(q, spoil(findings)), name)
	}
}
