package judge

import (
	"container/list"
	"context"
	"sync"
)

// Estimator is a judge that can say, asking nobody, what a judgement would
// cost. warm says that another answer to the same question has been asked
// about just now, so that what both requests share need not be read again.
type Estimator interface {
	Estimate(task Task, warm bool) (Usage, error)
}

// Gate lets at most n answers at a time into a judge, in the order in which
// they come; n is 1 or more. Whoever waits for an identical answer in flight
// does so outside: grading asks a judge once for all of them. What a Gate
// estimates is what its judge does, and nothing where that cannot.
func Gate(j Judge, n int) Judge { return &gate{judge: j, free: max(n, 1)} }

type gate struct {
	judge Judge

	mu    sync.Mutex
	free  int
	queue list.List // of chan struct{}, each closed when its turn has come
}

// Name is the judge's.
func (g *gate) Name() string { return g.judge.Name() }

// Fingerprint is the judge's: how many it takes at a time changes no verdict.
func (g *gate) Fingerprint() string { return g.judge.Fingerprint() }

// PromptDigest is the judge's.
func (g *gate) PromptDigest() string { return g.judge.PromptDigest() }

// Estimate is the judge's, where it has one.
func (g *gate) Estimate(task Task, warm bool) (Usage, error) {
	if e, ok := g.judge.(Estimator); ok {
		return e.Estimate(task, warm)
	}
	return Usage{}, nil
}

// Judge waits for its turn and asks. The error is the context's when that ends
// while waiting.
func (g *gate) Judge(ctx context.Context, task Task) (*Judgement, error) {
	if err := g.enter(ctx); err != nil {
		return nil, err
	}
	defer g.leave()
	return g.judge.Judge(ctx, task)
}

func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if err := ctx.Err(); err != nil || g.free > 0 {
		if err == nil {
			g.free--
		}
		g.mu.Unlock()
		return err
	}
	turn := make(chan struct{})
	place := g.queue.PushBack(turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // the place was handed over meanwhile: pass it on
		g.pass()
	default:
		g.queue.Remove(place)
	}
	return ctx.Err()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass hands a place to who has waited longest.
func (g *gate) pass() {
	if next := g.queue.Front(); next != nil {
		close(g.queue.Remove(next).(chan struct{}))
		return
	}
	g.free++
}
