package judge_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gradus-ai/gradus/internal/judge"
)

func TestCostIsKnownOnlyWhenAllOfItIs(t *testing.T) {
	t.Parallel()
	dollars := func(d float64) *float64 { return &d }
	free := judge.Usage{}
	priced := judge.Usage{Calls: 1, PromptTokens: 700, CachedTokens: 500, CompletionTokens: 90, CostUSD: dollars(.25)}
	unpriced := judge.Usage{Calls: 2, PromptTokens: 10}

	assert.Equal(t, judge.Usage{Calls: 2, PromptTokens: 1400, CachedTokens: 1000, CompletionTokens: 180, CostUSD: dollars(.5)}, priced.Plus(priced))
	assert.Equal(t, priced, priced.Plus(free))
	assert.Equal(t, priced, free.Plus(priced))
	assert.Equal(t, free, free.Plus(free), "what asked nobody has no price to show")
	assert.Nil(t, priced.Plus(unpriced).CostUSD)
	assert.Nil(t, unpriced.Plus(priced).CostUSD)
	assert.Equal(t, 3, unpriced.Plus(priced).Calls)
}
