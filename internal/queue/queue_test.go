package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/queue"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

var quick = batch.Key{Tenant: "acme", ID: "ba_quick"}

func newQueue(t *testing.T, client redis.UniversalClient, name string) *queue.Queue {
	t.Helper()
	return queue.New(queue.Config{Client: client, Name: name, Log: slog.New(slog.DiscardHandler)})
}

// work runs the handlers until the test ends, or stop is called.
func work(t *testing.T, q *queue.Queue, h queue.Handlers) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx, h) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func await[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func TestWorkReachesOneHandlerWhoeverHandsItOutTwice(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	q := newQueue(t, server.Client(t), storetest.Prefix(t))
	refs := make([]batch.Ref, 40)
	for i := range refs {
		refs[i] = batch.Ref{Key: batch.Key{Tenant: fmt.Sprint("tenant", i%3), ID: fmt.Sprint("ba_", i%5)}, Chunk: i, Gen: 1}
	}
	require.NoError(t, q.Enqueue(t.Context(), refs...))
	require.NoError(t, q.Enqueue(t.Context(), refs...), "handing out again what waits is no error")
	waiting, active, err := q.Depth(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{len(refs), 0}, []int{waiting, active})

	came := make(chan batch.Ref, 2*len(refs))
	stop := work(t, q, queue.Handlers{Chunks: 4, Chunk: func(_ context.Context, ref batch.Ref) error {
		came <- ref
		return nil
	}})
	seen := make(map[batch.Ref]int)
	for range refs {
		seen[await(t, came)]++
	}
	stop()
	require.Empty(t, came, "nothing came twice")
	for _, ref := range refs {
		require.Equal(t, 1, seen[ref], "%v", ref)
	}
}

func TestASmallBatchDoesNotStandBehindAllOfALargeOne(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	q := newQueue(t, server.Client(t), storetest.Prefix(t))
	const chunks, batches = 1000, 8
	large := make([]batch.Ref, chunks)
	for i := range large {
		large[i] = batch.Ref{Key: batch.Key{Tenant: "acme", ID: "ba_large"}, Chunk: i, Gen: 1}
	}
	require.NoError(t, q.Enqueue(t.Context(), large...))
	for i := range batches { // whatever queue they come into
		require.NoError(t, q.Enqueue(t.Context(), batch.Ref{Key: batch.Key{Tenant: "acme", ID: fmt.Sprint("ba_", i)}, Gen: 1}))
	}
	came := make(chan batch.Ref, chunks+batches)
	work(t, q, queue.Handlers{Chunks: 1, Chunk: func(_ context.Context, ref batch.Ref) error {
		came <- ref
		return nil
	}})
	ahead := 0
	for small := 0; small < batches; {
		if await(t, came).ID == "ba_large" {
			ahead++
		} else {
			small++
		}
	}
	require.Less(t, ahead, chunks/2)
}

func TestTheQueueKnowsWhatItWillStillDeliver(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	name := storetest.Prefix(t)
	client := server.Client(t)
	q := newQueue(t, client, name)
	ref := func(chunk int) batch.Ref { return batch.Ref{Key: quick, Chunk: chunk, Gen: 1} }
	known := func(r batch.Ref) bool {
		ok, err := q.Known(t.Context(), r)
		require.NoError(t, err)
		return ok
	}
	delivered := func() []batch.Ref {
		refs, err := q.Delivered(t.Context())
		require.NoError(t, err)
		return refs
	}
	require.Empty(t, delivered())
	require.False(t, known(ref(0)), "of a queue that nothing was ever put into")
	require.NoError(t, q.Enqueue(t.Context(), ref(1)))
	require.NoError(t, q.EnqueueAfter(t.Context(), time.Hour, ref(2)))
	require.NoError(t, q.Enqueue(t.Context(), ref(3), ref(4)))
	require.True(t, known(ref(1)), "waiting")
	require.True(t, known(ref(2)), "waiting for its time")
	require.False(t, known(batch.Ref{Key: quick, Chunk: 1, Gen: 2}), "another handing out")

	require.NoError(t, q.Drop(t.Context(), ref(3), ref(3)))
	require.False(t, known(ref(3)), "dropped, and dropping twice is no error")

	var lost []string
	require.NoError(t, client.Keys(t.Context(), "asynq:{"+name+"*}:t:ba_quick:4:1").ScanSlice(&lost))
	require.Len(t, lost, 1)
	require.NoError(t, client.Del(t.Context(), lost...).Err())
	require.False(t, known(ref(4)), "whose record was deleted by hand")

	began, end := make(chan struct{}), make(chan struct{})
	stop := work(t, q, queue.Handlers{Chunks: 1, Chunk: func(context.Context, batch.Ref) error {
		began <- struct{}{}
		<-end
		return nil
	}})
	await(t, began)
	require.False(t, known(ref(1)), "being worked on: nobody can tell it from one whose worker died")
	require.Equal(t, []batch.Ref{ref(1)}, delivered())
	require.NoError(t, q.Drop(t.Context(), ref(1)), "what is being worked on is left alone")
	close(end)
	stop()
	require.False(t, known(ref(1)), "done")
	require.Empty(t, delivered())
}

func TestEverythingThatIsBeingWorkedOnIsListed(t *testing.T) {
	t.Parallel()
	const chunks = 150 // in the beginning of its batch and in the rest of it, more than asynq lists at once
	q := newQueue(t, storetest.Shared(t).Client(t), storetest.Prefix(t))
	refs := make([]batch.Ref, chunks)
	for i := range refs {
		refs[i] = batch.Ref{Key: quick, Chunk: 60 + i, Gen: 3}
	}
	require.NoError(t, q.Enqueue(t.Context(), refs...))
	began, end := make(chan struct{}), make(chan struct{})
	stop := work(t, q, queue.Handlers{Chunks: chunks, Chunk: func(context.Context, batch.Ref) error {
		began <- struct{}{}
		<-end
		return nil
	}})
	for range chunks {
		await(t, began)
	}
	delivered, err := q.Delivered(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, refs, delivered)
	close(end)
	stop()
}

type later struct{ wait time.Duration }

func (l later) Error() string { return "later" }

func TestWorkThatIsNotDoneComesAgainWhenItAskedTo(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	q := newQueue(t, server.Client(t), storetest.Prefix(t))
	var times []time.Time
	again := make(chan int, 8)
	work(t, q, queue.Handlers{
		Chunks: 1,
		Later: func(err error) (time.Duration, bool) {
			var l later
			return l.wait, errors.As(err, &l)
		},
		Chunk: func(context.Context, batch.Ref) error {
			times = append(times, time.Now())
			again <- len(times)
			if len(times) < 3 {
				return fmt.Errorf("wrapped: %w", later{2 * time.Second})
			}
			return nil
		},
	})
	require.NoError(t, q.Enqueue(t.Context(), batch.Ref{Key: quick, Gen: 1}))
	for range 3 {
		await(t, again)
	}
	for i := 1; i < 3; i++ {
		// asynq counts the time of a retry in whole seconds.
		require.GreaterOrEqual(t, times[i].Sub(times[i-1]), time.Second, "round %d", i)
		require.Less(t, times[i].Sub(times[i-1]), 10*time.Second, "round %d", i)
	}
}

func TestAPayloadOfANewerVersionIsLeftToNewerWorkers(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	name := storetest.Prefix(t)
	client := server.Client(t)
	q := newQueue(t, client, name)
	ref := batch.Ref{Key: quick, Chunk: 1, Gen: 1}
	require.NoError(t, q.Enqueue(t.Context(), ref))
	var tasks []string
	require.NoError(t, client.Keys(t.Context(), "asynq:{"+name+"*}:t:*").ScanSlice(&tasks))
	require.Len(t, tasks, 1)
	message, err := client.HGet(t.Context(), tasks[0], "msg").Result()
	require.NoError(t, err)
	require.Contains(t, message, `"v":1`)
	newer := strings.Replace(message, `"v":1`, `"v":9`, 1)
	require.NoError(t, client.HSet(t.Context(), tasks[0], "msg", newer).Err())

	stop := work(t, q, queue.Handlers{Chunks: 1, Chunk: func(context.Context, batch.Ref) error {
		t.Error("an old worker took work that it cannot read")
		return nil
	}})
	require.Eventually(t, func() bool {
		state, err := client.HGet(t.Context(), tasks[0], "state").Result()
		return err == nil && state == "retry"
	}, 20*time.Second, 20*time.Millisecond)
	stop()
	known, err := q.Known(t.Context(), ref)
	require.NoError(t, err)
	require.True(t, known, "it waits for a worker that can read it")
}

func TestStoppingWaitsForWorkInProgressAndHandsTheRestBack(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	q := newQueue(t, server.Client(t), storetest.Prefix(t))
	ref := batch.Ref{Key: quick, Chunk: 7, Gen: 1}
	require.NoError(t, q.Enqueue(t.Context(), ref))

	ctx, cancel := context.WithCancel(t.Context())
	began, finished, ended := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- q.Work(ctx, queue.Handlers{Chunks: 1, Grace: 200 * time.Millisecond, Chunk: func(ctx context.Context, _ batch.Ref) error {
			close(began)
			<-ctx.Done()
			finished <- ctx.Err()
			return ctx.Err()
		}})
	}()
	await(t, began)
	cancel()
	require.NoError(t, await(t, ended))
	require.ErrorIs(t, await(t, finished), context.Canceled, "the handler is told once the grace is over")
	known, err := q.Known(t.Context(), ref)
	require.NoError(t, err)
	require.True(t, known, "somebody else will do it")
}

func TestAllThatIsInProgressHasOneGrace(t *testing.T) {
	t.Parallel()
	const grace = 3 * time.Second
	q := newQueue(t, storetest.Shared(t).Client(t), storetest.Prefix(t))
	require.NoError(t, q.Enqueue(t.Context(), // the beginning of a batch, and its rest
		batch.Ref{Key: quick, Chunk: 7, Gen: 1}, batch.Ref{Key: quick, Chunk: 700, Gen: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}, 2), make(chan error, 1)
	go func() {
		ended <- q.Work(ctx, queue.Handlers{Chunks: 1, Grace: grace, Chunk: func(ctx context.Context, _ batch.Ref) error {
			began <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}})
	}()
	await(t, began)
	await(t, began)
	told := time.Now()
	cancel()
	require.NoError(t, await(t, ended))
	require.Less(t, time.Since(told), 2*grace)
}

type telling struct {
	key    batch.Key
	failed int
}

func TestNoticesHaveTheirOwnQueue(t *testing.T) {
	t.Parallel()
	server := storetest.Shared(t)
	q := newQueue(t, server.Client(t), storetest.Prefix(t))
	told, busy := make(chan telling, 4), make(chan struct{})
	stop := work(t, q, queue.Handlers{
		Chunks: 1, Notices: 1, Grace: time.Second,
		Chunk: func(context.Context, batch.Ref) error {
			<-busy
			return nil
		},
		Notice: func(_ context.Context, key batch.Key, failed int) error {
			told <- telling{key, failed}
			if failed < 1 {
				return errors.New("try again")
			}
			return nil
		},
	})
	require.NoError(t, q.Enqueue(t.Context(), batch.Ref{Key: quick, Gen: 1}))
	require.NoError(t, q.Notify(t.Context(), quick))
	require.NoError(t, q.Notify(t.Context(), quick), "it is under way already")
	require.Equal(t, telling{quick, 0}, await(t, told), "although every grader is busy")
	require.Equal(t, telling{quick, 1}, await(t, told), "failed attempts are counted")
	close(busy)
	stop()
	require.Empty(t, told)
}

func TestWorkGoesOnAfterRedisWasAway(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, "--appendonly", "yes")
	q := newQueue(t, server.Client(t), "gradus")
	came := make(chan batch.Ref, 8)
	work(t, q, queue.Handlers{Chunks: 1, Chunk: func(_ context.Context, ref batch.Ref) error {
		came <- ref
		return nil
	}})
	first, second := batch.Ref{Key: quick, Chunk: 1, Gen: 1}, batch.Ref{Key: quick, Chunk: 2, Gen: 1}
	require.NoError(t, q.Enqueue(t.Context(), first))
	require.Equal(t, first, await(t, came))

	server.Kill9()
	require.Error(t, q.Enqueue(t.Context(), second), "whoever hands out work hears that it was not taken")
	_, err := q.Known(t.Context(), second)
	require.Error(t, err, "not knowing is not the same as no")
	server.Restart(t)
	require.Eventually(t, func() bool { return q.Enqueue(t.Context(), second) == nil },
		20*time.Second, 50*time.Millisecond, "the client notices within its own time")
	for ref := await(t, came); ref != second; ref = await(t, came) { // the first may come again
		require.Equal(t, first, ref)
	}
}
