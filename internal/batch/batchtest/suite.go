package batchtest

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/judge"
)

// Subject is a store under test.
type Subject struct {
	Store batch.Store
	// Pass makes the store's clock jump: what would have run out by then has.
	Pass func(d time.Duration)
}

// Run holds a store against what batch.Store promises. open is called once for
// each test; tests run in parallel, and use batches and tenants of their own,
// so that they may share the data but not the clock.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*bench){
		"nothing is seen before the commit":               nothingBeforeCommit,
		"a commit shows the whole batch":                  commitShowsAll,
		"a commit needs every chunk":                      commitNeedsEveryChunk,
		"what is staged too long is gone":                 stagedExpires,
		"discarding erases what was staged only":          discard,
		"tenants do not meet":                             tenantsApart,
		"an idempotency key has one holder":               reservations,
		"an idempotency key makes one batch":              keyMakesOneBatch,
		"of many who reserve one gets the key":            reserveRace,
		"of many who claim one gets the chunk":            claimRace,
		"results are counted once":                        countedOnce,
		"the last result completes the batch":             lastCompletes,
		"a chunk given up is handed out again":            givenUp,
		"a lease that runs out is reclaimed":              leaseRunsOut,
		"a lease that is renewed lasts":                   leaseRenewed,
		"a crash is laid at the door of the suspect":      suspects,
		"a chunk that the queue lost is reclaimed":        reclaimUnclaimed,
		"cancelling ends what is pending":                 cancelling,
		"purging leaves nothing":                          purging,
		"a paused batch hands out nothing":                pausing,
		"changes are heard of":                            changes,
		"enqueueing is noted for current refs":            enqueueing,
		"who asked to be told is noticed once":            notices,
		"a leader leads until its time is over":           leading,
		"results come in the order of the upload":         inOrder,
		"whatever happens the counts add up":              property,
		"active batches come oldest first":                activeOrder,
		"what an unpriced call cost is not known":         unknownCost,
		"a question and an answer come back as they were": bytesKept,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{T: t, Subject: open(t), tenant: "tenant-" + fresh()}
			test(b)
		})
	}
}

func fresh() string { return strings.ToLower(rand.Text())[:12] }

// bench is where a store is tested.
type bench struct {
	*testing.T
	Subject
	tenant string
}

func (b *bench) key() batch.Key { return batch.Key{Tenant: b.tenant, ID: "ba_" + fresh()} }

// stage stages chunks of so many items each and returns the batch to commit.
func (b *bench) stage(sizes ...int) batch.Batch {
	b.Helper()
	rec := batch.Batch{
		Key:     b.key(),
		Status:  batch.Queued,
		Options: batch.Options{Judge: "model", Detail: "hint"},
		Chunks:  len(sizes),
		Durable: true,
		Made:    batch.Versions{Judge: "model", Fingerprint: "f1", PromptDigest: "sha256:p1"},
	}
	for i, size := range sizes {
		require.NoError(b, b.Store.Stage(b.Context(), rec.Key, chunkOf(i, rec.Total, size)))
		rec.Total += size
	}
	return rec
}

func chunkOf(index, from, size int) batch.Chunk {
	c := batch.Chunk{Index: index, Question: []byte(`{"q":"` + strconv.Itoa(index) + `"}`)}
	for i := range size {
		n := strconv.Itoa(from + i)
		c.Items = append(c.Items, batch.Item{Index: from + i, ID: "item-" + n, Answer: "answer " + n})
	}
	return c
}

// commit stages and commits, and returns the batch as the store has it.
func (b *bench) commit(sizes ...int) *batch.Batch {
	b.Helper()
	rec := b.stage(sizes...)
	used, err := b.Store.Commit(b.Context(), rec, nil, "")
	require.NoError(b, err)
	require.Nil(b, used)
	return b.get(rec.Key)
}

func (b *bench) get(key batch.Key) *batch.Batch {
	b.Helper()
	got, err := b.Store.Get(b.Context(), key)
	require.NoError(b, err)
	return got
}

// refs are the chunks that are not done.
func (b *bench) states(key batch.Key) []batch.ChunkState {
	b.Helper()
	states, err := b.Store.Chunks(b.Context(), key)
	require.NoError(b, err)
	return states
}

func (b *bench) claim(ref batch.Ref, worker string) *batch.Claim {
	b.Helper()
	claim, err := b.Store.Claim(b.Context(), ref, worker)
	require.NoError(b, err)
	return claim
}

func (b *bench) complete(claim *batch.Claim, done bool, results ...batch.Result) *batch.Progress {
	b.Helper()
	progress, err := b.Store.Complete(b.Context(), claim, results, done)
	require.NoError(b, err)
	return progress
}

// results are all there are from an index on.
func (b *bench) results(key batch.Key, from int) []batch.Result {
	b.Helper()
	var all []batch.Result
	for result, err := range b.Store.Results(b.Context(), key, from) {
		require.NoError(b, err)
		all = append(all, result)
	}
	return all
}

func graded(item batch.Item) batch.Result {
	return batch.Result{Index: item.Index, ID: item.ID, Status: batch.RowGraded,
		Grade: []byte(`{"id":"gr_` + item.ID + `"}`), GradeID: "gr_" + item.ID}
}

func failed(item batch.Item, reason string) batch.Result {
	return batch.Result{Index: item.Index, ID: item.ID, Status: batch.RowFailed, Reason: reason}
}

func addsUp(t require.TestingT, b *batch.Batch) {
	require.GreaterOrEqual(t, b.Pending(), 0)
	require.Equal(t, b.Total, b.Graded+b.NeedsReview+b.Failed+b.Cancelled+b.Pending())
	if b.Status == batch.Completed || b.Status == batch.Cancelled {
		require.Zero(t, b.Pending())
		require.NotNil(t, b.FinishedAt)
	} else {
		require.Nil(t, b.FinishedAt)
	}
}

func nothingBeforeCommit(b *bench) {
	ctx := b.Context()
	rec := b.stage(3, 2)
	_, err := b.Store.Get(ctx, rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
	_, err = b.Store.Changed(ctx, rec.Key, 0)
	require.ErrorIs(b, err, batch.ErrNotFound)
	_, err = b.Store.Cancel(ctx, rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
	_, err = b.Store.Chunks(ctx, rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
	require.ErrorIs(b, b.Store.Purge(ctx, rec.Key), batch.ErrNotFound)
	for gen := range int64(3) {
		_, err = b.Store.Claim(ctx, batch.Ref{Key: rec.Key, Gen: gen}, "w")
		require.ErrorIs(b, err, batch.ErrLost)
	}
	for _, err = range b.Store.Results(ctx, rec.Key, 0) {
		break
	}
	require.ErrorIs(b, err, batch.ErrNotFound)
	active, err := b.Store.Active(ctx)
	require.NoError(b, err)
	require.NotContains(b, active, rec.Key)
}

func commitShowsAll(b *bench) {
	rec := b.stage(16, 16, 3)
	limit := 1.5
	rec.Options = batch.Options{Judge: "lexical", Fallback: true, Fresh: true, Detail: "nudge", MaxCost: &limit, WebhookURL: "https://example.org/hook"}
	used, err := b.Store.Commit(b.Context(), rec, nil, "")
	require.NoError(b, err)
	require.Nil(b, used)

	got := b.get(rec.Key)
	require.WithinDuration(b, time.Now(), got.CreatedAt, 25*time.Hour, "a time, by whatever clock")
	require.Positive(b, got.Version)
	want := rec
	want.CreatedAt, want.Version = got.CreatedAt, got.Version
	require.Equal(b, &want, got)
	addsUp(b, got)
	require.Empty(b, b.results(rec.Key, 0))

	states := b.states(rec.Key)
	require.Len(b, states, 3)
	for i, state := range states {
		require.Equal(b, rec.Key, state.Ref.Key)
		require.Equal(b, i, state.Ref.Chunk)
		require.True(b, state.EnqueuedAt.IsZero(), "in the outbox")
		require.False(b, state.Claimed)
		require.Zero(b, state.Crashes)
	}
	active, err := b.Store.Active(b.Context())
	require.NoError(b, err)
	require.Contains(b, active, rec.Key)
}

func commitNeedsEveryChunk(b *bench) {
	rec := b.stage(2, 2)
	rec.Chunks, rec.Total = 3, 6
	_, err := b.Store.Commit(b.Context(), rec, nil, "")
	require.Error(b, err)
	_, err = b.Store.Get(b.Context(), rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
}

func stagedExpires(b *bench) {
	rec := b.stage(2)
	b.Pass(61 * time.Minute)
	_, err := b.Store.Commit(b.Context(), rec, nil, "")
	require.Error(b, err)
	_, err = b.Store.Get(b.Context(), rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
}

func discard(b *bench) {
	rec := b.stage(2, 1)
	require.NoError(b, b.Store.Discard(b.Context(), rec.Key, rec.Chunks))
	_, err := b.Store.Commit(b.Context(), rec, nil, "")
	require.Error(b, err, "nothing is left to commit")

	kept := b.commit(2, 1)
	require.NoError(b, b.Store.Discard(b.Context(), kept.Key, kept.Chunks))
	require.Equal(b, kept, b.get(kept.Key))
	require.Len(b, b.claim(b.states(kept.Key)[0].Ref, "w").Chunk.Items, 2)
}

func tenantsApart(b *bench) {
	rec := b.commit(1)
	other := batch.Key{Tenant: b.tenant + "-other", ID: rec.ID}
	_, err := b.Store.Get(b.Context(), other)
	require.ErrorIs(b, err, batch.ErrNotFound)
	_, err = b.Store.Cancel(b.Context(), other)
	require.ErrorIs(b, err, batch.ErrNotFound)
	require.ErrorIs(b, b.Store.Purge(b.Context(), other), batch.ErrNotFound)
	ref := b.states(rec.Key)[0].Ref
	ref.Key = other
	_, err = b.Store.Claim(b.Context(), ref, "w")
	require.ErrorIs(b, err, batch.ErrLost)
	require.Equal(b, rec, b.get(rec.Key))
}

// reservation is another submission with always the same key.
func (b *bench) reservation() batch.Reservation {
	return batch.Reservation{Tenant: b.tenant, Key: "k", Token: fresh()}
}

func (b *bench) reserve(r batch.Reservation) *batch.Used {
	b.Helper()
	used, err := b.Store.Reserve(b.Context(), r)
	require.NoError(b, err)
	return used
}

func reservations(b *bench) {
	ctx := b.Context()
	mine, other := b.reservation(), b.reservation()
	require.Nil(b, b.reserve(mine))
	require.Nil(b, b.reserve(mine), "renewing")
	_, err := b.Store.Reserve(ctx, other)
	require.ErrorIs(b, err, batch.ErrInProgress)
	elsewhere := other
	elsewhere.Tenant += "-other"
	require.Nil(b, b.reserve(elsewhere), "keys belong to tenants")

	require.NoError(b, b.Store.Release(ctx, other), "it is not theirs")
	_, err = b.Store.Reserve(ctx, other)
	require.ErrorIs(b, err, batch.ErrInProgress)
	require.NoError(b, b.Store.Release(ctx, mine))
	require.Nil(b, b.reserve(other))

	b.Pass(61 * time.Second)
	require.Nil(b, b.reserve(mine), "it was not renewed")
	_, err = b.Store.Reserve(ctx, other)
	require.ErrorIs(b, err, batch.ErrInProgress)
}

func keyMakesOneBatch(b *bench) {
	ctx := b.Context()
	slow, quick := b.reservation(), b.reservation()
	require.Nil(b, b.reserve(slow))
	b.Pass(61 * time.Second)
	require.Nil(b, b.reserve(quick))
	first, second := b.stage(1), b.stage(1)
	used, err := b.Store.Commit(ctx, second, &quick, "print")
	require.NoError(b, err)
	require.Nil(b, used)

	used, err = b.Store.Commit(ctx, first, &slow, "other print")
	require.NoError(b, err)
	require.Equal(b, &batch.Used{Fingerprint: "print", BatchID: second.ID}, used)
	_, err = b.Store.Get(ctx, first.Key)
	require.ErrorIs(b, err, batch.ErrNotFound, "a key makes one batch")

	require.NoError(b, b.Store.Release(ctx, quick), "what is used stays used")
	require.Equal(b, used, b.reserve(b.reservation()))
}

func reserveRace(b *bench) {
	var won atomic.Int32
	together(20, func(int) {
		used, err := b.Store.Reserve(b.Context(), b.reservation())
		if err == nil {
			assert.Nil(b, used)
			won.Add(1)
			return
		}
		assert.ErrorIs(b, err, batch.ErrInProgress)
	})
	require.EqualValues(b, 1, won.Load())
}

func claimRace(b *bench) {
	rec := b.commit(2)
	ref := b.states(rec.Key)[0].Ref
	var won atomic.Int32
	together(20, func(i int) {
		if _, err := b.Store.Claim(b.Context(), ref, "w"+strconv.Itoa(i)); err == nil {
			won.Add(1)
		} else {
			assert.ErrorIs(b, err, batch.ErrLost)
		}
	})
	require.EqualValues(b, 1, won.Load())
	require.Equal(b, batch.Running, b.get(rec.Key).Status)
}

func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

func dollars(d float64) *float64 { return &d }

func spent(calls int, cost *float64) judge.Usage {
	return judge.Usage{Calls: calls, PromptTokens: 100 * calls, CachedTokens: 10 * calls, CompletionTokens: 7 * calls, CostUSD: cost}
}

func leading(b *bench) {
	ctx := context.WithoutCancel(b.Context())
	name := "lead-" + fresh()
	lead := func(process string, want bool) {
		b.Helper()
		got, err := b.Store.Lead(ctx, name, process, 10*time.Second)
		require.NoError(b, err)
		require.Equal(b, want, got)
	}
	lead("p1", true)
	lead("p2", false)
	b.Pass(6 * time.Second)
	lead("p1", true) // and on from here
	b.Pass(6 * time.Second)
	lead("p2", false)
	b.Pass(11 * time.Second)
	lead("p2", true)
	lead("p1", false)
}
