package model

import (
	"sync"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
)

// ledger adds up what judging one answer cost, and keeps what was said.
type ledger struct {
	price Price

	mu      sync.Mutex
	usage   judge.Usage
	cost    float64
	unknown bool // the price of some call
	replies []string
	model   string // of the first reply that named one
}

func (l *ledger) add(reply *llm.Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.usage.Calls++
	l.usage.PromptTokens += reply.Usage.PromptTokens
	l.usage.CachedTokens += reply.Usage.CachedTokens
	l.usage.CompletionTokens += reply.Usage.CompletionTokens
	l.replies = append(l.replies, reply.Text)
	if l.model == "" {
		l.model = reply.Model
	}
	cost, known := 0.0, false
	if l.price != nil {
		cost, known = l.price(reply.Model, reply.Usage)
	}
	l.cost += cost * (1 - reply.Discount)
	l.unknown = l.unknown || !known
}

// close writes the sums into a judgement. The cost of calls that are known in
// part only is not known. fallback names the model where no reply did.
func (l *ledger) close(j *judge.Judgement, fallback string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.Usage, j.Replies, j.Model = l.usage, l.replies, l.model
	if j.Model == "" {
		j.Model = fallback
	}
	if l.usage.Calls > 0 && !l.unknown {
		j.Usage.CostUSD = &l.cost
	}
}
