package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// deaf loses the reply of the next command when it is armed: Redis has done
// what it was told, and nobody hears of it.
type deaf struct {
	armed atomic.Bool
	lost  func() // called instead
}

var errDeaf = errors.New("the reply was lost")

func (h *deaf) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && h.armed.CompareAndSwap(true, false) {
			if h.lost != nil {
				h.lost()
			}
			cmd.SetErr(errDeaf)
			return errDeaf
		}
		return err
	}
}

func (h *deaf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestALostReplyDoesNotDoubleAnything(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, _ *redis.Client) {
		ctx, hook := t.Context(), &deaf{}
		b.AddHook(hook)
		// twice does something whose reply is lost, and then once more.
		twice := func(do func() error) error {
			hook.armed.Store(true)
			require.ErrorIs(t, do(), store.ErrUnavailable)
			return do()
		}
		rec, chunks := submission("acme", "ba_1", 2)
		r := batch.Reservation{Tenant: "acme", Key: "k", Token: "t"}
		require.NoError(t, twice(func() error { _, err := b.Reserve(ctx, r); return err }))
		for _, chunk := range chunks {
			require.NoError(t, twice(func() error { return b.Stage(ctx, rec.Key, chunk) }))
		}
		require.NoError(t, twice(func() error {
			used, err := b.Commit(ctx, rec, &r, "print")
			require.Nil(t, used, "it is the same batch")
			return err
		}))
		used, err := b.Reserve(ctx, batch.Reservation{Tenant: "acme", Key: "k", Token: "later"})
		require.NoError(t, err)
		require.Equal(t, &batch.Used{Fingerprint: "print", BatchID: "ba_1"}, used)

		claim := take(t, b, rec, 0)
		for _, results := range [][]batch.Result{resultsOf(claim)[:1], resultsOf(claim)} {
			require.NoError(t, twice(func() error { _, err := b.Complete(ctx, claim, results, false); return err }))
		}
		require.ErrorIs(t, twice(func() error { _, err := b.Complete(ctx, claim, nil, true); return err }), batch.ErrLost, "it was given up")
		got, err := b.Get(ctx, rec.Key)
		require.NoError(t, err)
		require.Equal(t, []int{2, 2, 2, 20}, []int{got.Graded, got.Pending(), got.Spent.Calls, got.Spent.PromptTokens})
		require.Equal(t, .2, *got.Spent.CostUSD)
		states, err := b.Chunks(ctx, rec.Key)
		require.NoError(t, err)
		require.Len(t, states, 1, "the first chunk is done")
		require.NoError(t, twice(func() error { return b.Pause(ctx, rec.Key, "x") }))
		require.NoError(t, twice(func() error { return b.Resume(ctx, rec.Key) }))
		require.NoError(t, twice(func() error { _, err := b.Cancel(ctx, rec.Key); return err }))
		got, err = b.Get(ctx, rec.Key)
		require.NoError(t, err)
		require.Equal(t, []int{2, 2, 0}, []int{got.Graded, got.Cancelled, got.Pending()})
		require.ErrorIs(t, twice(func() error { return b.Purge(ctx, rec.Key) }), batch.ErrNotFound)
	})
}

func TestRedisThatDiesAfterACommitHasTheBatch(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	b := open(t, store.Config{URL: server.URL()}).Batches()
	rec, chunks := submission("acme", "ba_1", 20)
	for _, chunk := range chunks {
		require.NoError(t, b.Stage(t.Context(), rec.Key, chunk))
	}
	r := batch.Reservation{Tenant: "acme", Key: "k", Token: "t"}
	_, err := b.Reserve(t.Context(), r)
	require.NoError(t, err)
	// The script is known already: what dies is the commit itself.
	submit(t, b, "acme", "ba_0", 1)
	hook := &deaf{lost: server.Kill9}
	b.AddHook(hook)
	hook.armed.Store(true)
	_, err = b.Commit(t.Context(), rec, &r, "print")
	require.ErrorIs(t, err, store.ErrUnavailable)
	server.Restart(t)
	used, err := b.Reserve(t.Context(), batch.Reservation{Tenant: "acme", Key: "k", Token: "later"})
	require.NoError(t, err)
	require.Equal(t, &batch.Used{Fingerprint: "print", BatchID: "ba_1"}, used, "who comes again gets the same batch")
	got, err := b.Get(t.Context(), rec.Key)
	require.NoError(t, err)
	require.Equal(t, 40, got.Pending())
	for i := range 20 {
		claim := take(t, b, rec, 0)
		require.Equal(t, chunks[i], claim.Chunk)
		_, err := b.Complete(t.Context(), claim, resultsOf(claim), true)
		require.NoError(t, err)
	}
	checkBatch(t, b, rec.Key)
}

// checkBatch looks at a batch as a reader does, and returns it with its results.
func checkBatch(t tester, b *store.Batches, key batch.Key) (*batch.Batch, map[int]batch.Result) {
	t.Helper()
	before, err := b.Get(context.Background(), key)
	require.NoError(t, err)
	results := make(map[int]batch.Result)
	last, cancelled := -1, 0
	for result, err := range b.Results(context.Background(), key, 0) {
		require.NoError(t, err)
		require.Greater(t, result.Index, last, "in order, and each once")
		last = result.Index
		if result.Status == batch.RowCancelled {
			cancelled++
			continue
		}
		results[result.Index] = result
	}
	require.Equal(t, before.Total, before.Graded+before.NeedsReview+before.Failed+before.Cancelled+before.Pending())
	require.GreaterOrEqual(t, before.Pending(), 0)
	require.Equal(t, before.Graded+before.NeedsReview+before.Failed, len(results), "what is counted can be read")
	require.Equal(t, before.Cancelled, cancelled)
	require.Equal(t, len(results), before.Spent.Calls, "each is paid once")
	require.Equal(t, before.Status.Over(), before.Pending() == 0)
	if before.Status.Over() {
		states, err := b.Chunks(context.Background(), key)
		require.NoError(t, err)
		require.Empty(t, states)
	}
	return before, results
}

// ledger is what the store has acknowledged.
type ledger struct {
	// strict is true where each result that was acknowledged stays; else Redis
	// may forget the last of a batch that runs, and they are made anew.
	strict bool

	mu        sync.Mutex
	completed map[batch.Key]bool
	committed map[batch.Key]int // chunks
	cancelled map[batch.Key]bool
	kept      map[batch.Key]map[int]string // grades by index
}

// TestNothingAcknowledgedIsLostWhenRedisDies kills Redis at random moments under
// submitters, workers and one who cancels, and then holds what can be read
// against what was acknowledged. A machine that loses power is another matter:
// with appendfsync everysec up to a second is gone.
func TestNothingAcknowledgedIsLostWhenRedisDies(t *testing.T) {
	t.Parallel()
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		killAtRandom(t, "always", 50, 100*time.Millisecond) // a write takes long
	})
	t.Run("everysec", func(t *testing.T) {
		t.Parallel()
		killAtRandom(t, "everysec", 150, 20*time.Millisecond)
	})
}

func killAtRandom(t *testing.T, policy string, moments int, longest time.Duration) {
	if testing.Short() {
		moments /= 10
	}
	server, prefix := storetest.Start(t, "--appendfsync", policy), storetest.Prefix(t)
	book := &ledger{strict: policy == "always", committed: map[batch.Key]int{}, cancelled: map[batch.Key]bool{}, completed: map[batch.Key]bool{}, kept: map[batch.Key]map[int]string{}}
	var ids atomic.Int64
	for moment := 0; moment < moments || len(book.committed) <= moments/10; moment++ {
		// Another process each time: one that was refused connections would wait
		// a second before it tried again.
		s, err := store.Open(t.Context(), store.Config{URL: server.URL(), Prefix: prefix, Budget: patient, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		b := s.Batches()
		if moment%10 == 9 {
			book.check(t, b)
		}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for ctx.Err() == nil {
					book.submit(ctx, b, fmt.Sprint("ba_", ids.Add(1)))
				}
			})
		}
		for range 3 {
			all.Go(func() {
				for ctx.Err() == nil {
					book.work(ctx, b)
				}
			})
		}
		all.Go(func() {
			for ctx.Err() == nil {
				book.cancel(ctx, b)
			}
		})
		<-time.After(rand.N(longest)) // the random moment
		server.Kill9()
		stop()
		all.Wait()
		require.NoError(t, s.Close())
		server.Restart(t)
		if moment >= moments {
			longest *= 2 // this machine is too busy to commit anything in that time
		}
	}
	book.check(t, open(t, store.Config{URL: server.URL(), Prefix: prefix}).Batches())
	t.Logf("%d batches, %d cancelled, %d completed", len(book.committed), len(book.cancelled), len(book.completed))
}

func (l *ledger) submit(ctx context.Context, b *store.Batches, id string) {
	rec, chunks := submission("acme", id, 1+rand.IntN(3))
	for _, chunk := range chunks {
		if b.Stage(ctx, rec.Key, chunk) != nil {
			return
		}
	}
	if _, err := b.Commit(ctx, rec, nil, ""); err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.committed[rec.Key] = rec.Chunks
	}
}

// some is a batch that was acknowledged, most likely a recent one.
func (l *ledger) some() (batch.Key, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.committed {
		return key, true
	}
	return batch.Key{}, false
}

func (l *ledger) work(ctx context.Context, b *store.Batches) {
	key, ok := l.some()
	if !ok {
		return
	}
	states, err := b.Chunks(ctx, key)
	if err != nil || len(states) == 0 {
		return
	}
	ref := states[rand.IntN(len(states))].Ref
	claim, err := b.Claim(ctx, ref, "w")
	if err != nil {
		return
	}
	var results []batch.Result
	for _, item := range claim.Chunk.Items {
		if rand.IntN(4) > 0 {
			result := resultOf(item)
			result.Grade = fmt.Appendf(nil, `{"try":%d}`, rand.Int())
			results = append(results, result)
		}
	}
	progress, err := b.Complete(ctx, claim, results, true)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if progress.Finished {
		l.completed[key] = true
	}
	if !l.strict {
		return
	}
	if l.kept[key] == nil {
		l.kept[key] = map[int]string{}
	}
	for _, result := range results {
		if !claim.Done[result.Index] {
			l.kept[key][result.Index] = string(result.Grade)
		}
	}
}

func (l *ledger) cancel(ctx context.Context, b *store.Batches) {
	key, ok := l.some()
	if !ok || rand.IntN(20) > 0 {
		return
	}
	if got, err := b.Cancel(ctx, key); err == nil && got.Status == batch.Cancelled {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cancelled[key] = true
	}
}

// check reads everything that was acknowledged.
func (l *ledger) check(t *testing.T, b *store.Batches) {
	t.Helper()
	active, err := b.Active(t.Context())
	require.NoError(t, err)
	running := make(map[batch.Key]bool, len(active))
	for _, key := range active {
		running[key] = true
		checkBatch(t, b, key) // those whose acknowledgement was lost too
	}
	for key, chunks := range l.committed {
		got, results := checkBatch(t, b, key)
		require.Equal(t, 2*chunks, got.Total)
		require.Equal(t, running[key], !got.Status.Over())
		if l.cancelled[key] {
			require.Equal(t, batch.Cancelled, got.Status)
		}
		if l.completed[key] {
			require.Equal(t, batch.Completed, got.Status)
		}
		for index, grade := range l.kept[key] {
			require.Equal(t, grade, string(results[index].Grade), "what was acknowledged stays")
		}
	}
}

func TestARedisThatHangsIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	b := open(t, store.Config{URL: server.URL(), Budget: budget}).Batches()
	rec := submit(t, b, "acme", "ba_1", 1)
	server.Pause()
	defer server.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := b.Get(ctx, rec.Key)
	require.ErrorIs(t, err, store.ErrUnavailable, "not found cannot be said now")
	for _, err = range b.Results(ctx, rec.Key, 0) {
		break
	}
	require.ErrorIs(t, err, store.ErrUnavailable)
	_, err = b.Claim(ctx, batch.Ref{Key: rec.Key, Gen: 1}, "w")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotErrorIs(t, err, batch.ErrLost)
	require.Less(t, time.Since(begun), 300*time.Millisecond+slack, "the caller's time counts")

	begun = time.Now()
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			var err error
			switch i {
			case 0:
				_, err = b.Cancel(t.Context(), rec.Key)
			case 1:
				_, err = b.Active(t.Context())
			case 2:
				_, err = b.Chunks(t.Context(), rec.Key)
			case 3:
				_, err = b.Lead(t.Context(), "x", "p", time.Second)
			case 4:
				_, err = b.Changed(t.Context(), rec.Key, 1)
			case 5:
				_, err = b.Reserve(t.Context(), batch.Reservation{Tenant: "acme", Key: "k", Token: "t"})
			}
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(begun), 6*time.Second+slack)
	server.Resume()
	_, err = b.Get(t.Context(), rec.Key)
	require.NoError(t, err)
}
