package app

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

const (
	// batchTimeout is the longest that grading one item of a batch may take,
	// retries included: nobody sits and waits for it, and it is tried again
	// after that.
	batchTimeout = 10 * time.Minute
	// chunksAhead is how many chunks are worked on for each answer that is
	// judged at a time, so that a slot is never free while a chunk waits to be
	// claimed.
	chunksAhead = 2
	// fewestChunks is how many chunks are worked on at least: much of the time of
	// one is spent waiting for Redis.
	fewestChunks = 16
)

// engine grades many answers as one unit, over a store and a queue.
type engine struct {
	service *batch.Service
	worker  *batch.Worker
	store   batch.Store
	process string
	judging int // answers at a time
}

// newEngine makes an engine with the judges and kept grades that everybody has.
func (a *App) newEngine(store batch.Store, q batch.Queue, classify func(error) batch.Outcome, admit func(context.Context) (bool, error)) (*engine, error) {
	e := &engine{store: store, process: processName()}
	grader, err := a.grader(graderOptions{timeout: batchTimeout, gate: func(j judge.Judge) judge.Judge {
		n := a.cfg.Concurrency
		if j.Name() == grading.Lexical {
			n = runtime.GOMAXPROCS(0) // it computes: more at a time are no faster
		}
		e.judging = max(e.judging, n)
		return judge.Gate(&willing{j, e}, n)
	}})
	if err != nil {
		return nil, err
	}
	versions := func(name string) (batch.Versions, error) {
		judgeName, fingerprint, prompt, err := grader.Versions(name)
		return batch.Versions{Judge: judgeName, Fingerprint: fingerprint, PromptDigest: prompt}, err
	}
	e.service, err = batch.New(batch.Config{Store: store, Queue: q, Kept: grader, Versions: versions, Admit: admit, Log: a.log})
	if err != nil {
		return nil, err
	}
	e.worker, err = batch.NewWorker(batch.WorkerConfig{
		Store: store, Queue: q, Grader: grader, Classify: classify, Versions: versions, Estimate: grader.Estimate, Forget: grader.Forget,
		Kept: a.metrics.settled,
		Name: e.process, Now: time.Now, Log: a.log,
	})
	return e, err
}

// willing is a judge behind a gate that takes up nothing more once the worker
// drains: what only waits for its turn is not in progress.
type willing struct {
	judge  judge.Judge
	engine *engine
}

// Name is the judge's.
func (w *willing) Name() string { return w.judge.Name() }

// Fingerprint is the judge's.
func (w *willing) Fingerprint() string { return w.judge.Fingerprint() }

// PromptDigest is the judge's.
func (w *willing) PromptDigest() string { return w.judge.PromptDigest() }

// Judge judges unless the worker drains.
func (w *willing) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	if w.engine.worker.Draining() {
		return nil, batch.ErrDraining
	}
	return w.judge.Judge(ctx, task)
}

// Estimate is the judge's, where it has one.
func (w *willing) Estimate(task judge.Task, warm bool) (judge.Usage, error) {
	if e, ok := w.judge.(judge.Estimator); ok {
		return e.Estimate(task, warm)
	}
	return judge.Usage{}, nil
}

// processName tells this process from others that share a Redis, and from those
// that had its number before.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed"
	}
	return host + ":" + strconv.Itoa(os.Getpid()) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36)
}
