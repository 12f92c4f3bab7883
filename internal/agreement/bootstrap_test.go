package agreement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// data are two questions: the first easy, the second hard.
var (
	bootGroups = []int{7, 7, 7, 7, 9, 9, 9, 9}
	bootScores = []float64{.9, 1, .8, .9, .1, 0, .2, .1}
)

func meanScore(s agreement.Sample) []agreement.Figure {
	v := make([]float64, len(s.Rows))
	for i, row := range s.Rows {
		v[i] = bootScores[row]
	}
	return []agreement.Figure{agreement.Mean(v)}
}

func TestTheSameSeedGivesTheSameInterval(t *testing.T) {
	t.Parallel()
	first := agreement.Bootstrap(bootGroups, agreement.ByRow, 500, 3, meanScore)
	require.Equal(t, first, agreement.Bootstrap(bootGroups, agreement.ByRow, 500, 3, meanScore))
	require.NotEqual(t, first, agreement.Bootstrap(bootGroups, agreement.ByRow, 500, 4, meanScore))
	equal(t, 0.5, first[0].Value)
}

func TestDrawingQuestionsIsLessSureThanDrawingAnswers(t *testing.T) {
	t.Parallel()
	rows := agreement.Bootstrap(bootGroups, agreement.ByRow, 1000, 1, meanScore)[0]
	questions := agreement.Bootstrap(bootGroups, agreement.ByQuestion, 1000, 1, meanScore)[0]
	// Of two questions drawn, one in four times both are the easy one (.9),
	// and as often both the hard one (.1).
	equal(t, 0.1, questions.Low)
	equal(t, 0.9, questions.High)
	require.Greater(t, rows.Low.Or(0), 0.1)
	require.Less(t, rows.High.Or(1), 0.9)
}

func TestAQuestionDrawnTwiceIsTwo(t *testing.T) {
	t.Parallel()
	whole := true
	agreement.Bootstrap(bootGroups, agreement.ByQuestion, 50, 1, func(s agreement.Sample) []agreement.Figure {
		if whole { // the first call is for the value itself
			require.Equal(t, bootGroups, s.Groups)
			whole = false
			return []agreement.Figure{agreement.Of(1)}
		}
		require.Len(t, s.Rows, 8)
		require.Len(t, agreement.Groups(s.Groups), 2)
		for _, members := range agreement.Groups(s.Groups) {
			require.Len(t, members, 4)
			for _, m := range members {
				require.Equal(t, bootGroups[s.Rows[members[0]]], bootGroups[s.Rows[m]], "a group stays together")
			}
		}
		return []agreement.Figure{agreement.Of(1)}
	})
}

func TestAFigureSeldomDefinedHasNoInterval(t *testing.T) {
	t.Parallel()
	calls := 0
	seldom := agreement.Bootstrap(bootGroups, agreement.ByRow, 100, 1, func(agreement.Sample) []agreement.Figure {
		calls++
		if calls > 40 {
			return []agreement.Figure{{}}
		}
		return []agreement.Figure{agreement.Of(1)}
	})[0]
	equal(t, 1, seldom.Value)
	undefined(t, seldom.Low)
	undefined(t, seldom.High)

	none := agreement.Bootstrap(nil, agreement.ByRow, 100, 1, func(agreement.Sample) []agreement.Figure {
		return []agreement.Figure{{}}
	})[0]
	require.Equal(t, agreement.Estimate{}, none)

	exact := agreement.Bootstrap(bootGroups, agreement.ByRow, 0, 1, meanScore)[0]
	equal(t, 0.5, exact.Value)
	undefined(t, exact.Low)
}
