package llm

import (
	"context"
	"errors"
)

// Fallback asks the first of several models, and the next where one cannot
// answer: it is unavailable, limited, refused for its key or quota, or the
// request does not fit it. A refusal to answer is put to one other model. A
// request that the endpoint rejects, and a caller that has left, are nobody
// else's business.
//
// Another model's judgement is another judgement: Reply.Model says whose it is.
type Fallback struct {
	models   []Completer
	observer Observer
}

// NewFallback asks these, in this order; there must be at least one.
func NewFallback(observer Observer, models ...Completer) *Fallback {
	return &Fallback{models: models, observer: observer}
}

// Models lists all models, the first choice first.
func (f *Fallback) Models() []string {
	var names []string
	for _, m := range f.models {
		names = append(names, m.Models()...)
	}
	return names
}

// Complete returns the first reply there is. Without one it returns the first
// error that may pass, else the first of all, so that a caller waits as long
// as waiting may help.
func (f *Fallback) Complete(ctx context.Context, req Request) (*Reply, error) {
	var refused *Reply
	var failed error
	for i, model := range f.models {
		reply, err := model.Complete(ctx, req)
		var why string
		switch {
		case err == nil && refused != nil:
			reply.Usage = reply.Usage.plus(refused.Usage)
			return reply, nil // refused or not: one other model is enough
		case err == nil && !reply.Refused:
			return reply, nil
		case err == nil:
			refused, why = reply, "refused"
		default:
			if failed == nil || (!Retryable(failed) && Retryable(err)) {
				failed = err
			}
			if ctx.Err() != nil || !elsewhere(err) {
				if refused != nil {
					return refused, nil
				}
				return nil, err
			}
			why = Kind(err)
		}
		if i+1 < len(f.models) {
			f.observer.fallback(nameOf(model), nameOf(f.models[i+1]), why)
		}
	}
	if refused != nil {
		return refused, nil
	}
	return nil, failed
}

// elsewhere reports whether another model may do what this one could not.
func elsewhere(err error) bool {
	return Retryable(err) || errors.Is(err, ErrQuota) || errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrTooLong)
}

func (u Usage) plus(o Usage) Usage {
	return Usage{
		PromptTokens:     u.PromptTokens + o.PromptTokens,
		CachedTokens:     u.CachedTokens + o.CachedTokens,
		CompletionTokens: u.CompletionTokens + o.CompletionTokens,
	}
}
