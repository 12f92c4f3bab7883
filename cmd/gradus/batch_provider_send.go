package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

// What goes into one batch at most: well within what the provider takes, for
// JSON may need two bytes for one of the text.
const (
	sendRequests = openai.MaxBatchRequests / 2
	sendBytes    = openai.MaxBatchBytes / 3
)

// mostCalls is how often making a batch, or fetching its replies, is tried.
const mostCalls = 6

// send makes batches of the answers that were not sent yet, one question after
// the other so that the provider's prefix cache pays.
func (p *provider) send(ctx context.Context, todo []answered, talk *talk) error {
	var unsent []*answered
	for i := range todo {
		if _, sent := p.note.sent(todo[i].item.ID); !sent {
			unsent = append(unsent, &todo[i])
		}
	}
	if p.options.MaxCost != nil && len(unsent) > 0 {
		if err := p.affordable(ctx, unsent); err != nil {
			return err
		}
	}
	slices.SortStableFunc(unsent, func(a, b *answered) int { return strings.Compare(a.question.Digest(), b.question.Digest()) })
	next := newSentBatch()
	var requests []llm.Request
	size, total := 0, 0
	flush := func() error {
		if len(requests) == 0 {
			return nil
		}
		if err := p.submit(ctx, next, requests); err != nil {
			return err
		}
		total += len(next.Answers)
		next, requests, size = newSentBatch(), nil, 0
		return nil
	}
	for _, a := range unsent {
		openings, err := p.app.Openings(a.question, a.item.Answer)
		if err != nil {
			return err
		}
		id, err := p.gradeID(a)
		if err != nil {
			return err
		}
		if len(openings) == 0 || !p.options.Fresh && p.kept(ctx, id) {
			continue
		}
		more := 0
		for _, r := range openings {
			for _, m := range r.Messages {
				more += len(m.Text)
			}
			more += len(r.Schema)
		}
		if len(requests)+len(openings) > sendRequests || size+more > sendBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		next.Answers[a.item.ID] = id
		requests, size = append(requests, openings...), size+more
	}
	if err := flush(); err != nil {
		return err
	}
	if total > 0 {
		talk.say("sent %s to the provider, which takes up to a day; Ctrl-C leaves them there, and the same command collects them", count(total, "answer"))
	}
	return nil
}

func (p *provider) kept(ctx context.Context, id string) bool {
	_, err := p.app.Service().Find(ctx, grading.Key{Tenant: app.LocalTenant, ID: id})
	return err == nil
}

// affordable refuses to send what is estimated to cost more than it may.
func (p *provider) affordable(ctx context.Context, unsent []*answered) error {
	some := make([]answered, len(unsent))
	for i, a := range unsent {
		some[i] = *a
	}
	e, err := p.estimate(ctx, some)
	if err != nil {
		return err
	}
	if cost := e.Usage.CostUSD; cost != nil && *cost > *p.options.MaxCost {
		return usage(fmt.Errorf("about $%.2f would be more than --max-cost; nothing was sent", *cost))
	}
	return nil
}

// submit makes one batch. It is noted before it is made: a batch whose making
// was interrupted is found again by its tag, and no answer is paid for twice.
func (p *provider) submit(ctx context.Context, next *sentBatch, requests []llm.Request) error {
	p.note.Batches = append(p.note.Batches, next)
	if err := p.note.write(); err != nil {
		return err
	}
	wait := backoff{}
	for try := 1; ; try++ {
		id, err := p.endpoint.SubmitBatch(ctx, next.Tag, requests)
		if err != nil && llm.Retryable(err) && try < mostCalls {
			if err := wait.pause(ctx); err != nil {
				return err
			}
			var found bool
			if id, found, err = p.endpoint.FindBatch(ctx, next.Tag); err != nil || !found {
				continue
			}
		}
		if err != nil {
			if !llm.Retryable(err) && ctx.Err() == nil {
				p.note.drop(next) // it was refused, so there is none
			}
			return fmt.Errorf("the provider took no batch: %w", err)
		}
		next.ID = id
		return p.note.write()
	}
}
