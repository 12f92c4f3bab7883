package batch

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Estimate is what a batch would do, found without asking anyone.
type Estimate struct {
	Items int
	// Distinct is how many items differ in question or answer.
	Distinct int
	// Cached is how many items have a grade already, or repeat one that does.
	Cached int
	// Usage is what making the other grades would cost, by the length of prompts
	// and of usual replies.
	Usage judge.Usage
}

// forecast is what a dry run has found so far.
type forecast struct {
	Estimate
	distinct map[[32]byte]bool // question and answer, and whether it is kept
	warm     map[string]bool   // questions that some answer was asked about
}

// Estimate is what the items so far would do. It is zero but for a draft made
// by DryRun.
func (d *Draft) Estimate() Estimate {
	if d.forecast == nil {
		return Estimate{}
	}
	return d.forecast.Estimate
}

// foresee adds an item to the estimate.
func (d *Draft) foresee(ctx context.Context, q *rubric.Question, answer string) error {
	f, name := d.forecast, q.Ref+" "+q.Digest()
	f.Items++
	sum := sha256.Sum256([]byte(name + "\x00" + answer))
	if kept, again := f.distinct[sum]; again {
		if kept {
			f.Cached++
		}
		return nil
	}
	f.Distinct++
	req := d.request(q, answer)
	if f.distinct[sum] = d.service.cfg.Kept.Kept(ctx, req); f.distinct[sum] {
		f.Cached++
		return nil
	}
	usage, err := d.service.cfg.Kept.Estimate(req, f.warm[name])
	if err != nil {
		return fmt.Errorf("estimate the cost: %w", err)
	}
	if usage.Calls > 0 {
		f.warm[name] = true
	}
	f.Usage = f.Usage.Plus(usage)
	return nil
}

// request is how an item of a batch is graded.
func request(b *Batch, q *rubric.Question, answer string) grading.Request {
	return grading.Request{
		Tenant:   b.Tenant,
		Question: q,
		Answer:   answer,
		Judge:    b.Options.Judge,
		Fallback: b.Options.Fallback,
		Fresh:    b.Options.Fresh,
	}
}
