package rubric_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// asked is an inline question with criteria of these weights.
func asked(weights ...float64) rubric.Question {
	q := rubric.Question{Text: "Why is the sky blue?"}
	for i, w := range weights {
		q.Criteria = append(q.Criteria, rubric.Criterion{ID: string(rune('a' + i)), Statement: "Says why.", Weight: w})
	}
	return q
}

func weights(q *rubric.Question) []float64 {
	var ws []float64
	for _, c := range q.Criteria {
		ws = append(ws, c.Weight)
	}
	return ws
}

func TestAnInlineQuestionNeedsOnlyTextAndStatements(t *testing.T) {
	t.Parallel()
	q, err := rubric.Inline(asked(0, 0))
	require.NoError(t, err)
	require.Equal(t, rubric.Technical, q.Kind)
	require.Equal(t, rubric.Core, q.Criteria[0].Kind)
	require.Equal(t, []float64{50, 50}, weights(q))
	require.Regexp(t, `^inline/[0-9a-f]{12}$`, q.Ref)
	require.Equal(t, "sha256:"+strings.TrimPrefix(q.Ref, "inline/"), q.Digest()[:len("sha256:")+12])

	named := asked(1)
	named.ID = "Sky_1.b"
	q, err = rubric.Inline(named)
	require.NoError(t, err)
	require.Equal(t, "inline/Sky_1.b", q.Ref)
}

func TestInlineWeightsAreScaledTo100(t *testing.T) {
	t.Parallel()
	least := 1e-300
	tests := []struct {
		name string
		in   []float64
		want []float64
	}{
		{"one", []float64{7}, []float64{100}},
		{"in proportion", []float64{1, 3}, []float64{25, 75}},
		{"large", []float64{1e6, 1e6}, []float64{50, 50}},
		{"beyond all sums", []float64{math.MaxFloat64, math.MaxFloat64}, []float64{50, 50}},
		{"one beside next to nothing", []float64{1e300, 1e-300}, []float64{100, least * 100}},
		{"tiny", []float64{1e-300, 3e-300}, []float64{25, 75}},
		{"a missing one counts as the mean of the others", []float64{10, 30, 0}, []float64{16.666667, 50, 33.333333}},
		{"thirds are rounded to a millionth", []float64{1, 1, 1}, []float64{33.333333, 33.333333, 33.333333}},
	}
	for _, tt := range tests {
		q, err := rubric.Inline(asked(tt.in...))
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.want, weights(q), tt.name)
	}
}

func TestInlineBonusAndPitfallWeightsArePoints(t *testing.T) {
	t.Parallel()
	in := asked(2, 0, 0, 3, -7)
	in.Criteria[1].Kind, in.Criteria[2].Kind = rubric.Bonus, rubric.Pitfall
	in.Criteria[3].Kind, in.Criteria[4].Kind = rubric.Bonus, rubric.Pitfall
	q, err := rubric.Inline(in)
	require.NoError(t, err)
	require.Equal(t, []float64{100, rubric.DefaultBonus, rubric.DefaultPitfall, 3, -7}, weights(q))
}

func TestInlineLeavesTheCallersQuestionAlone(t *testing.T) {
	t.Parallel()
	in := asked(1, 1)
	in.Criteria[0].Phrases = []string{" blue "}
	q, err := rubric.Inline(in)
	require.NoError(t, err)
	require.Equal(t, []float64{1, 1}, weights(&in))
	require.Equal(t, " blue ", in.Criteria[0].Phrases[0])
	require.Equal(t, "blue", q.Criteria[0].Phrases[0])
}

func TestEachInlineFaultHasItsPointer(t *testing.T) {
	t.Parallel()
	many := func(n int) []float64 { return make([]float64, n) }
	tests := []struct {
		name  string
		in    func() rubric.Question
		wants []string
	}{
		{"nothing at all", func() rubric.Question { return rubric.Question{} }, []string{"/question", "/criteria"}},
		{"a blank question", func() rubric.Question { q := asked(1); q.Text = " \n"; return q }, []string{"/question"}},
		{"an id with a slash", func() rubric.Question { q := asked(1); q.ID = "a/b"; return q }, []string{"/id"}},
		{"an id of 65 characters", func() rubric.Question { q := asked(1); q.ID = strings.Repeat("a", 65); return q }, []string{"/id"}},
		{"a criterion without id", func() rubric.Question { q := asked(1); q.Criteria[0].ID = ""; return q }, []string{"/criteria/0/id"}},
		{"a criterion id with a space", func() rubric.Question { q := asked(1); q.Criteria[0].ID = "a b"; return q }, []string{"/criteria/0/id"}},
		{"the same id twice", func() rubric.Question { q := asked(1, 1); q.Criteria[1].ID = "a"; return q }, []string{"/criteria/1/id"}},
		{"no statement", func() rubric.Question { q := asked(1); q.Criteria[0].Statement = "\t"; return q }, []string{"/criteria/0/statement"}},
		{"no core criterion", func() rubric.Question { q := asked(1); q.Criteria[0].Kind = rubric.Bonus; return q }, []string{"/criteria"}},
		{"an unknown kind", func() rubric.Question { q := asked(1); q.Kind = "odd"; return q }, []string{"/kind"}},
		{"an unknown kind of criterion", func() rubric.Question { q := asked(1); q.Criteria[0].Kind = "odd"; return q }, []string{"/criteria/0/kind"}},
		{"an unknown signal", func() rubric.Question { q := asked(1); q.Criteria[0].Signal = "odd"; return q }, []string{"/criteria/0/signal"}},
		{"51 criteria", func() rubric.Question { return asked(many(51)...) }, []string{"/criteria"}},
		{"a negative core weight", func() rubric.Question { return asked(1, 1, 1, -1) }, []string{"/criteria/3/weight"}},
		{"a weight that is not a number", func() rubric.Question { return asked(math.NaN(), math.Inf(1)) }, []string{"/criteria/0/weight", "/criteria/1/weight"}},
		{"a positive pitfall", func() rubric.Question { q := asked(1, 1); q.Criteria[1].Kind = rubric.Pitfall; return q }, []string{"/criteria/1/weight"}},
		{"an empty phrase", func() rubric.Question { q := asked(1); q.Criteria[0].Phrases = []string{"x", ""}; return q }, []string{"/criteria/0/phrases/1"}},
		{"a long text", func() rubric.Question { q := asked(1); q.Text = strings.Repeat("é", rubric.MaxQuestion+1); return q }, []string{"/question"}},
		{"not UTF-8", func() rubric.Question { q := asked(1); q.Guidance = "\xff"; return q }, []string{"/guidance"}},
		{"a control character", func() rubric.Question { q := asked(1); q.Intent = "a\x00b"; return q }, []string{"/intent"}},
		{"several at once", func() rubric.Question { q := asked(-1); q.Kind = "odd"; return q }, []string{"/kind", "/criteria/0/weight"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, err := rubric.Inline(tt.in())
			require.Nil(t, q)
			require.ErrorIs(t, err, rubric.ErrInvalid)
			var faults rubric.Faults
			require.True(t, errors.As(err, &faults))
			var got []string
			for _, f := range faults {
				require.Zero(t, f.Line)
				require.NotEmpty(t, f.Reason)
				require.Contains(t, f.Error(), f.Pointer+": ")
				got = append(got, f.Pointer)
			}
			if diff := cmp.Diff(tt.wants, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATextOfTheLongestLengthIsAccepted(t *testing.T) {
	t.Parallel()
	q := asked(1)
	q.Text = strings.Repeat("é", rubric.MaxQuestion)
	_, err := rubric.Inline(q)
	require.NoError(t, err)
}

// Whatever positive weights come in, core weights add up to 100, keep their
// order, and a second pass changes neither weights nor digest.
func TestInlineScalingHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Float64Range(1e-9, 1e12), 1, 50).Draw(t, "weights")
		q := rubric.Question{Text: "Why?"}
		for i, w := range in {
			q.Criteria = append(q.Criteria, rubric.Criterion{ID: "c" + strings.Repeat("x", i), Statement: "Says why.", Weight: w})
		}
		once, err := rubric.Inline(q)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, c := range once.Criteria {
			if c.Weight <= 0 {
				t.Fatalf("criterion %d lost its weight: %g of %v", i, c.Weight, in)
			}
			sum += c.Weight
		}
		if math.Abs(sum-rubric.CoreTotal) > rubric.WeightTolerance {
			t.Fatalf("the weights add up to %g", sum)
		}
	})
}
