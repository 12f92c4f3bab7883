package model

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
)

func TestAnEstimateFollowsTheLengthOfThePrompt(t *testing.T) {
	t.Parallel()
	model := scripted(nil) // fails whoever asks
	price := func(name string, u llm.Usage) (float64, bool) {
		require.Equal(t, "small-1", name)
		return float64(u.PromptTokens-u.CachedTokens) + 10*float64(u.CompletionTokens), true
	}
	j := newJudge(t, model, func(c *Config) { c.Price = price })
	short, err := j.Estimate(judge.Task{Question: rollout, Answer: goodAnswer}, false)
	require.NoError(t, err)
	rendered, err := j.cfg.Prompts.Grade(rollout, goodAnswer, j.mark(goodAnswer))
	require.NoError(t, err)
	length := len(rendered.Messages[0].Text) + len(rendered.Messages[1].Text)
	require.Equal(t, judge.Usage{Calls: 1, PromptTokens: length / 4, CompletionTokens: 170, CostUSD: short.CostUSD}, short)
	require.InDelta(t, float64(length/4+1700), *short.CostUSD, 1e-9)

	long, err := j.Estimate(judge.Task{Question: rollout, Answer: goodAnswer + strings.Repeat(" word", 800)}, false)
	require.NoError(t, err)
	require.Equal(t, 1000, long.PromptTokens-short.PromptTokens)

	each, err := newJudge(t, model, func(c *Config) { c.Thorough = true }).Estimate(judge.Task{Question: rollout, Answer: goodAnswer}, false)
	require.NoError(t, err)
	require.Equal(t, 4, each.Calls)
	require.Greater(t, each.PromptTokens, 2*short.PromptTokens)
	require.Nil(t, each.CostUSD, "nobody named a price")
	require.Empty(t, model.asked)
}

func TestOnlyAWarmPrefixThatIsLongEnoughCountsAsCached(t *testing.T) {
	t.Parallel()
	j := newJudge(t, scripted(nil))
	wordy := *rollout
	wordy.SampleAnswer = strings.Repeat("I would measure first. ", 250)
	task := judge.Task{Question: &wordy, Answer: goodAnswer}
	cold, err := j.Estimate(task, false)
	require.NoError(t, err)
	require.Zero(t, cold.CachedTokens)
	warm, err := j.Estimate(task, true)
	require.NoError(t, err)
	require.Equal(t, cold.PromptTokens, warm.PromptTokens)
	require.Greater(t, warm.CachedTokens, minCachedPrefix)
	require.Less(t, warm.CachedTokens, warm.PromptTokens)
}
