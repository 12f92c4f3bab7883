package batch_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

const tenant = "t"

var silent = slog.New(slog.DiscardHandler)

var made = batch.Versions{Judge: grading.Model, Fingerprint: "f1", PromptDigest: "sha256:p1"}

// tester is a test, a benchmark or a property.
type tester interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// house is everything a batch passes through, over a store and a queue of maps.
type house struct {
	tester
	store   *batchtest.Store
	queue   *batchtest.Queue
	grader  *grader
	kept    *kept
	service *batch.Service
}

func newHouse(t tester) *house {
	h := &house{tester: t, store: batchtest.NewStore(time.Now), queue: batchtest.NewQueue(), grader: &grader{}, kept: &kept{}}
	var err error
	h.service, err = batch.New(batch.Config{
		Store: h.store, Queue: h.queue, Kept: h.kept, Versions: versions, Log: silent,
	})
	require.NoError(t, err)
	return h
}

func versions(name string) (batch.Versions, error) {
	v := made
	if name == grading.Lexical {
		v.Judge = grading.Lexical
	}
	return v, nil
}

func (h *house) worker(change ...func(*batch.WorkerConfig)) *batch.Worker {
	cfg := batch.WorkerConfig{
		Store: h.store, Queue: h.queue, Grader: h.grader, Classify: classify, Versions: versions, Estimate: h.kept.Estimate,
		Name: "w", Now: time.Now, Log: silent,
	}
	for _, c := range change {
		c(&cfg)
	}
	w, err := batch.NewWorker(cfg)
	require.NoError(h, err)
	return w
}

func (h *house) keeper(process string) *batch.Keeper {
	k, err := batch.NewKeeper(batch.KeeperConfig{Store: h.store, Queue: h.queue, Process: process, Now: time.Now, Log: silent})
	require.NoError(h, err)
	return k
}

// serve runs workers and a keeper until the test calls what it returns.
func (h *house) serve(atOnce int, workers ...*batch.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(h.Context())
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() { h.queue.Serve(ctx, atOnce, w.Handle) })
	}
	running.Go(func() { h.keeper("p").Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// submit takes in a batch of items that are all of one question.
func (h *house) submit(options batch.Options, answers ...string) *batch.Batch {
	h.Helper()
	d, err := h.service.Begin(h.Context(), tenant, options, "")
	require.NoError(h, err)
	for i, answer := range answers {
		require.NoError(h, d.Add(h.Context(), itemID(i), i, question("q"), answer))
	}
	b, replayed, err := d.Commit(h.Context(), "")
	require.NoError(h, err)
	require.False(h, replayed)
	return b
}

func itemID(i int) string { return "item-" + strconv.Itoa(i) }

// answers are so many, no two alike.
func answers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "answer " + strconv.Itoa(i)
	}
	return all
}

var questions sync.Map

func question(id string) *rubric.Question {
	if q, found := questions.Load(id); found {
		return q.(*rubric.Question)
	}
	q, err := rubric.Inline(rubric.Question{ID: id, Text: "What would you do about " + id + "?", Criteria: []rubric.Criterion{{ID: "a", Statement: "Does it"}}})
	if err != nil {
		panic(err)
	}
	questions.Store(id, q)
	return q
}

func (h *house) get(key batch.Key) *batch.Batch {
	h.Helper()
	b, err := h.store.Get(h.Context(), key)
	require.NoError(h, err)
	require.Equal(h, b.Total, b.Graded+b.NeedsReview+b.Failed+b.Cancelled+b.Pending())
	return b
}

// wait lets time pass until the batch is over, or fails.
func (h *house) wait(key batch.Key, most time.Duration) *batch.Batch {
	h.Helper()
	return h.until(key, most, func(b *batch.Batch) bool { return b.Status.Over() })
}

func (h *house) until(key batch.Key, most time.Duration, reached func(*batch.Batch) bool) *batch.Batch {
	h.Helper()
	for end := time.Now().Add(most); ; {
		b := h.get(key)
		if reached(b) {
			return b
		}
		if time.Now().After(end) {
			require.Fail(h, "it takes too long", "%+v", b)
		}
		_, err := h.store.Changed(h.Context(), key, b.Version)
		require.NoError(h, err)
	}
}

func (h *house) results(key batch.Key) []batch.Result {
	h.Helper()
	var all []batch.Result
	for r, err := range h.store.Results(h.Context(), key, 0) {
		require.NoError(h, err)
		require.True(h, len(all) == 0 || all[len(all)-1].Index < r.Index)
		all = append(all, r)
	}
	return all
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// grader plays a grading.Service. Each answer costs a call of an eighth of a
// dollar.
type grader struct {
	// play decides about an answer; nil grades at once.
	play func(ctx context.Context, answer string) error
	// source is where grades come from; empty means grading.Miss.
	source grading.Source
	// unkept makes grades that nobody keeps; others are found again, but for
	// requests that want fresh ones.
	unkept bool

	mu            sync.Mutex
	asked         []string
	kept          map[string]bool
	inside, worst int
	done          int
}

var cost = .125

func (g *grader) Grade(ctx context.Context, req grading.Request) (grading.Result, error) {
	g.mu.Lock()
	g.asked = append(g.asked, req.Answer)
	g.inside++
	g.worst = max(g.worst, g.inside)
	play, kept := g.play, g.kept[req.Answer] && !req.Fresh
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.inside--; g.mu.Unlock() }()
	if kept {
		return gradeOf(req, grading.Hit, true)
	}
	if play != nil {
		if err := play(ctx, req.Answer); err != nil {
			return grading.Result{}, fmt.Errorf("grade: %w", err)
		}
	}
	g.mu.Lock()
	g.done++
	if g.kept == nil {
		g.kept = map[string]bool{}
	}
	g.kept[req.Answer] = !g.unkept
	g.mu.Unlock()
	return gradeOf(req, g.source, !g.unkept)
}

// finished is how many grades were made.
func (g *grader) finished() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done
}

func gradeOf(req grading.Request, source grading.Source, keep bool) (grading.Result, error) {
	sum := sha256.Sum256([]byte(req.Answer))
	id, score := "gr_"+hex.EncodeToString(sum[:8]), 50.0
	usage := judge.Usage{Calls: 1, PromptTokens: 100, CompletionTokens: 10, CostUSD: &cost}
	if req.Judge == grading.Lexical {
		usage = judge.Usage{}
	}
	grade := grading.Grade{
		ID: &id, Status: grading.Graded, QuestionID: req.Question.Ref, Score: &score,
		Provenance: grading.Provenance{Judge: req.Judge, PromptDigest: made.PromptDigest, RubricDigest: req.Question.Digest()},
		Usage:      usage,
	}
	if !keep {
		grade.ID = nil
	}
	record, err := grading.NewRecord(grade, keep, nil)
	if source == "" {
		source = grading.Miss
	}
	result := grading.Result{Record: record, Source: source}
	if source == grading.Miss {
		result.Usage = usage
	}
	return result, err
}

// become changes how answers are decided about from now on.
func (g *grader) become(play func(context.Context, string) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.play = play
}

func (g *grader) calls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

func (g *grader) callsFor(answer string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.asked {
		if a == answer {
			n++
		}
	}
	return n
}

// Errors of the model that classify knows.
var (
	errOutage  = errors.New("unavailable")
	errQuota   = errors.New("quota")
	errTooLong = errors.New("too long")
	errSlow    = errors.New("too slow")
)

// limited is an endpoint that says when to come again.
type limited time.Duration

func (l limited) Error() string { return "rate limited" }

func classify(err error) batch.Outcome {
	var l limited
	switch {
	case errors.As(err, &l):
		return batch.Outcome{After: time.Duration(l)}
	case errors.Is(err, errQuota):
		return batch.Outcome{Action: batch.Pause, Reason: batch.PausedModelQuota}
	case errors.Is(err, errTooLong):
		return batch.Outcome{Action: batch.Fail, Reason: batch.ReasonAnswerTooLong}
	case errors.Is(err, errSlow):
		return batch.Outcome{Limited: true, Reason: "model-timeout"}
	}
	return batch.Outcome{}
}

// takes is a model that thinks for so long.
func takes(d time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// kept plays what a grading.Service knows of kept grades.
type kept struct {
	mu        sync.Mutex
	grades    map[string]bool // by answer
	forgotten []grading.Key
	unpriced  bool
}

func (k *kept) Kept(_ context.Context, req grading.Request) bool { return k.grades[req.Answer] }

func (k *kept) Forget(_ context.Context, key grading.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgotten = append(k.forgotten, key)
	return nil
}

// gone is what was forgotten so far.
func (k *kept) gone() []grading.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.forgotten)
}

func (k *kept) Estimate(req grading.Request, warm bool) (judge.Usage, error) {
	usage := judge.Usage{Calls: 1, PromptTokens: len(req.Answer), CostUSD: &cost}
	if warm {
		usage.CachedTokens = 2
	}
	if k.unpriced {
		usage.CostUSD = nil
	}
	return usage, nil
}

// spy notes the question that was graded.
type spy struct {
	batch.Grader
	question *atomic.Pointer[rubric.Question]
}

func (s spy) Grade(ctx context.Context, req grading.Request) (grading.Result, error) {
	s.question.Store(req.Question)
	return s.Grader.Grade(ctx, req)
}
