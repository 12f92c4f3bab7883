package batch

import (
	"context"
	"sync"
	"time"
)

const (
	// warmUp is how long the first answer to a question goes alone, at most, so
	// that those after it find their common prefix in the model's cache.
	warmUp = 2 * time.Second
	// warmKept bounds the questions that a worker knows to be warm.
	warmKept = 1024
)

// warmth is what became of asking a model about a question for the first time.
type warmth int

const (
	cold    warmth = iota // it was not asked: whoever is next goes first
	warm                  // it has read the question
	trouble               // it could not be asked
)

// hearth knows which questions of which batches a model has been asked about.
type hearth struct {
	mu    sync.Mutex
	fires map[string]*fire
}

type fire struct {
	done chan struct{} // closed once it is known how it went
	went warmth
}

// light returns a fire to the first to ask about a question, who then has to
// call lit; the others get nil and learn how that went. The error is the
// context's.
func (h *hearth) light(ctx context.Context, question string) (first *fire, went warmth, err error) {
	for {
		h.mu.Lock()
		f, found := h.fires[question]
		if !found {
			if h.fires == nil || len(h.fires) >= warmKept {
				h.fires = map[string]*fire{} // rare enough to start over
			}
			f = &fire{done: make(chan struct{})}
			h.fires[question] = f
		}
		h.mu.Unlock()
		if !found {
			return f, cold, nil
		}
		select {
		case <-f.done:
			if f.went != cold {
				return nil, f.went, nil
			}
		case <-ctx.Done():
			return nil, cold, ctx.Err()
		}
	}
}

// lit says how being the first went. Unless the question is warm now, the next
// to come is the first again.
func (h *hearth) lit(question string, f *fire, went warmth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.went = went
	close(f.done)
	if went != warm && h.fires[question] == f {
		delete(h.fires, question)
	}
}

// douse makes the next to ask the first again, after it turned out that the
// model cannot be asked.
func (h *hearth) douse(question string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, found := h.fires[question]; found && f.ended() {
		delete(h.fires, question)
	}
}

func (f *fire) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
