package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

// How often a batch is looked at.
const (
	pollFirst = 500 * time.Millisecond
	pollLast  = time.Minute
)

// collect waits until all batches are over and takes their replies. cancelled
// says that somebody ended a batch at the provider.
func (p *provider) collect(ctx context.Context, talk *talk) (cancelled bool, err error) {
	states, err := p.wait(ctx, talk)
	if err != nil {
		return false, err
	}
	answered := 0
	without := make(map[string]int)
	for i, state := range states {
		switch state.Status {
		case "failed":
			p.note.drop(p.note.Batches[i])
			return false, fmt.Errorf("the provider refused a batch of requests (%s); the same command sends it again", codesOf(state.Codes))
		case "cancelled":
			cancelled = true
		}
		lost, err := p.replied(ctx, state, &answered)
		if err != nil {
			return false, err
		}
		for code, n := range lost {
			without[code] += n
		}
	}
	var codes []string
	expired := false
	for code, n := range without {
		codes = append(codes, fmt.Sprintf("%d × %s", n, named(code)))
		expired = expired || code == "batch_expired"
	}
	slices.Sort(codes)
	if len(codes) > 0 {
		talk.say("no reply to some requests: %s", strings.Join(codes, ", "))
	}
	if len(codes) > 0 && answered == 0 && !expired && !cancelled {
		p.note.forget()
		return false, errors.New("the provider answered none of the requests")
	}
	return cancelled, nil
}

// replied takes the replies of one batch.
func (p *provider) replied(ctx context.Context, state *openai.BatchState, answered *int) (map[string]int, error) {
	wait := backoff{}
	for try := 1; ; try++ {
		lost, err := p.endpoint.BatchReplies(ctx, state, func(digest string, reply *llm.Reply) {
			if !p.replies.Has(digest) {
				*answered++
			}
			p.replies.Put(digest, reply)
		})
		if err == nil || !llm.Retryable(err) || try == mostCalls {
			return lost, err
		}
		if err := wait.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// wait returns once all batches are over. A provider that cannot be reached for
// a while is waited for.
func (p *provider) wait(ctx context.Context, talk *talk) ([]*openai.BatchState, error) {
	wait := backoff{}
	for {
		states := make([]*openai.BatchState, len(p.note.Batches))
		total, answered, over := 0, 0, 0
		for i, b := range p.note.Batches {
			state, err := p.endpoint.Batch(ctx, b.ID)
			switch {
			case err != nil && !llm.Retryable(err):
				return nil, err
			case err != nil:
				continue
			case state.Over():
				over++
			}
			states[i] = state
			total, answered = total+state.Total, answered+state.Answered
		}
		if over == len(states) {
			return states, nil
		}
		talk.waiting(answered, total)
		if err := wait.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// named is a provider's code where it is safe to print.
func named(code string) string {
	if code = llm.Token(code); code == "" {
		return "no code"
	}
	return code
}

func codesOf(codes []string) string {
	var out []string
	for _, code := range codes {
		if code = named(code); !slices.Contains(out, code) {
			out = append(out, code)
		}
	}
	if len(out) == 0 {
		return "no code"
	}
	return strings.Join(out, ", ")
}

// backoff waits longer each time.
type backoff struct{ last time.Duration }

func (b *backoff) pause(ctx context.Context) error {
	b.last = min(max(pollFirst, b.last*3/2), pollLast)
	timer := time.NewTimer(b.last)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
