package model_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

const (
	restoreMet = `{"id":"c1","evidence":["restores the latest backup into an empty cluster"],"compare":"","verdict":"met","confidence":90}`
	alertMet   = `{"id":"c2","evidence":["If one is missing, the pager goes off"],"compare":"","verdict":"met","confidence":90}`
	invented   = `{"id":"c2","evidence":["a pigeon brings the news of it"],"compare":"","verdict":"met","confidence":90}`
)

// listen judges and returns what was told on the way, one line each.
func listen(t *testing.T, server *llmtest.Server, each func()) ([]string, *judge.Judgement) {
	t.Helper()
	var told []string
	got, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer, Decided: func(index int, f judge.Finding) {
		require.Equal(t, backups.Criteria[index].ID, f.CriterionID)
		told = append(told, fmt.Sprintf("%s %s %d", f.CriterionID, f.Verdict, len(f.Evidence)))
		each()
	}})
	require.NoError(t, err)
	return told, got
}

// The second criterion is written only once the first has been told of.
func TestACriterionIsToldOfWhileTheNextIsWritten(t *testing.T) {
	t.Parallel()
	next := make(chan struct{}, 1)
	server := llmtest.New(t, llmtest.Pieces(next, `{"criteria":[`+restoreMet, `,`+alertMet+`]}`))
	told, got := listen(t, server, func() {
		select {
		case next <- struct{}{}:
		default:
		}
	})
	require.Equal(t, []string{"restore met 1", "alert met 1"}, told)
	require.Equal(t, judge.Met, got.Findings[1].Verdict)
}

// What is told of is checked like what counts, and told again when it changes.
func TestWhatIsToldOfHasBeenChecked(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t,
		llmtest.Reply(`{"criteria":[`+restoreMet+`,`+invented+`]}`),
		llmtest.Reply(`{"criteria":[`+strings.Replace(alertMet, "c2", "c1", 1)+`]}`), // the second look
	)
	told, got := listen(t, server, func() {})
	require.Equal(t, []string{"restore met 1", "alert cannot_assess 0", "alert met 1"}, told)
	require.Equal(t, judge.Met, got.Findings[1].Verdict)
}

func TestAReplyThatComesToNothingIsToldOfAsThat(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t,
		llmtest.Reply(`{"criteria":[`+restoreMet+`,{"id":"c7","evidence":[],"compare":"","verdict":"met","confidence":90}]}`),
		llmtest.Reply("no"), // the repair
	)
	told, got := listen(t, server, func() {})
	require.Equal(t, []string{"restore met 1", "restore cannot_assess 0", "alert cannot_assess 0"}, told)
	require.Equal(t, judge.CannotAssess, got.Findings[0].Verdict)
}

func TestNobodyListensAndNothingIsStreamed(t *testing.T) {
	t.Parallel()
	server := llmtest.New(t, llmtest.Reply(`{"criteria":[`+restoreMet+`,`+alertMet+`]}`))
	_, err := over(t, server).Judge(t.Context(), judge.Task{Question: backups, Answer: backupAnswer})
	require.NoError(t, err)
	require.False(t, server.Requests()[0].Stream)
}
