package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// Some tests need a second process: they run this test binary again in a role.
const (
	childRole   = "GRADUS_TEST_CHILD"
	childURL    = "GRADUS_TEST_URL"
	childPrefix = "GRADUS_TEST_PREFIX"

	crowdSize = 100 // callers in each process
	lease     = 1500 * time.Millisecond
)

// beChild plays a role in a process of its own and returns its exit code.
func beChild(role string) int {
	ctx := context.Background()
	url, prefix := os.Getenv(childURL), os.Getenv(childPrefix)
	s, err := store.Open(ctx, store.Config{URL: url, Prefix: prefix, Lease: lease, Budget: patient, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for !s.Live() {
		<-time.After(time.Millisecond)
	}
	switch role {
	case "crowd":
		options, err := redis.ParseURL(url)
		if err != nil {
			return 1
		}
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // the starting signal
		tally, err := crowd(ctx, s, redis.NewClient(options), prefix)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := json.NewEncoder(os.Stdout).Encode(tally); err != nil {
			return 1
		}
	case "leader":
		_, _, err = s.Fetch(ctx, key("a"), false, func(context.Context) (*grading.Record, error) {
			fmt.Println("computing")
			select {} // until killed
		})
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// crowd fetches one grade many times at once. Whoever computes it waits until
// the callers of both processes have asked.
func crowd(ctx context.Context, s *store.Store, c *redis.Client, prefix string) (map[grading.Source]int, error) {
	defer func() { _ = c.Close() }()
	var mu sync.Mutex
	var first error
	tally := map[grading.Source]int{}
	var all sync.WaitGroup
	for range crowdSize {
		all.Go(func() {
			err := c.Incr(ctx, prefix+"asked").Err()
			var source grading.Source
			if err == nil {
				_, source, err = s.Fetch(ctx, key("a"), false, func(ctx context.Context) (*grading.Record, error) {
					for {
						n, err := c.Get(ctx, prefix+"asked").Int()
						if err != nil {
							return nil, err
						}
						if n == 2*crowdSize {
							break
						}
						<-time.After(time.Millisecond)
					}
					if err := c.Incr(ctx, prefix+"computed").Err(); err != nil {
						return nil, err
					}
					return grading.NewRecord(grading.Grade{}, true, nil)
				})
			}
			mu.Lock()
			defer mu.Unlock()
			tally[source]++
			first = errors.Join(first, err)
		})
	}
	all.Wait()
	return tally, first
}

// child starts this binary in a role and returns its input, its output by line
// and what kills it.
func child(t *testing.T, role, url, prefix string) (io.WriteCloser, *bufio.Scanner, func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childRole+"="+role, childURL+"="+url, childPrefix+"="+prefix)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	t.Cleanup(kill)
	return in, bufio.NewScanner(out), kill
}

func TestTwoHundredInTwoProcessesShareOneComputation(t *testing.T) {
	t.Parallel()
	server, prefix := storetest.Shared(t), storetest.Prefix(t)
	in, out, _ := child(t, "crowd", server.URL(), prefix)
	require.True(t, out.Scan(), "the other process is ready")
	s := open(t, store.Config{URL: server.URL(), Prefix: prefix, Lease: lease})
	_, err := io.WriteString(in, "go\n")
	require.NoError(t, err)
	c := server.Client(t)
	options := *c.Options()
	here, err := crowd(t.Context(), s, redis.NewClient(&options), prefix)
	require.NoError(t, err)
	require.True(t, out.Scan(), "the other process reports")
	var there map[grading.Source]int
	require.NoError(t, json.Unmarshal(out.Bytes(), &there))

	computed, err := c.Get(t.Context(), prefix+"computed").Int()
	require.NoError(t, err)
	require.Equal(t, 1, computed, "here %v, there %v", here, there)
	require.Equal(t, 1, here[grading.Miss]+there[grading.Miss])
	require.Equal(t, 2*crowdSize-1, here[grading.Shared]+there[grading.Shared]+here[grading.Hit]+there[grading.Hit])
}

func TestAFollowerTakesOverWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	server, prefix := storetest.Shared(t), storetest.Prefix(t)
	_, out, kill := child(t, "leader", server.URL(), prefix)
	require.True(t, out.Scan(), "the leader computes")
	s := open(t, store.Config{URL: server.URL(), Prefix: prefix, Lease: lease})
	var killed atomic.Bool
	done := make(chan error, 1)
	go func() {
		r, source, err := s.Fetch(t.Context(), key("a"), false, func(context.Context) (*grading.Record, error) {
			if !killed.Load() {
				return nil, errors.New("took over from a living leader")
			}
			return record(t, "taken over"), nil
		})
		if err == nil && (source != grading.Miss || summary(t, r) != "taken over") {
			err = fmt.Errorf("source %s", source)
		}
		done <- err
	}()
	// The leader renews its lock: longer than a lease nothing happens.
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(2 * lease):
	}
	killed.Store(true)
	kill()
	begun := time.Now()
	require.NoError(t, <-done)
	require.Less(t, time.Since(begun), 3*lease, "a lease, and a little")
}

// pair opens two stores on one Redis: two processes as far as they can tell.
func pair(t *testing.T, server *storetest.Server) (a, b *store.Store) {
	t.Helper()
	cfg := store.Config{URL: server.URL(), Prefix: storetest.Prefix(t)}
	return open(t, cfg), open(t, cfg)
}

func TestAGradeOfOneProcessIsAHitInAnother(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	made := record(t, "one")
	fetch(t, a, key("a"), makes(made, new(atomic.Int32)), "one", grading.Miss)
	hit := fetch(t, b, key("a"), unwanted(t), "one", grading.Hit)
	require.Equal(t, made.JSON(), hit.JSON())
	require.Equal(t, made.Spent, hit.Spent)
	require.EqualValues(t, 1, b.Stats().SharedHits)
	replies, err := b.Replies(t.Context(), key("a"))
	require.NoError(t, err)
	require.Equal(t, made.Replies, replies)
}

func TestWhoWaitsForAnotherProcessIsToldAtOnce(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	begun, finish := make(chan struct{}), make(chan struct{})
	var leader sync.WaitGroup
	leader.Go(func() {
		_, _, err := a.Fetch(t.Context(), key("a"), false, func(context.Context) (*grading.Record, error) {
			close(begun)
			<-finish
			return record(t, "made there"), nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		fetch(t, b, key("a"), unwanted(t), "made there", grading.Shared)
	}()
	await(t, func() bool { return b.Stats().Following == 1 }, "the follower waits")
	close(finish)
	<-done
	leader.Wait()
}

func TestAFollowerTriesItselfWhenTheLeaderFails(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	for _, c := range []struct {
		name string
		ends func() (*grading.Record, error)
	}{
		{"with an error", func() (*grading.Record, error) { return nil, errors.New("outage") }},
		{"with a grade that is not kept", func() (*grading.Record, error) { return passing(t, "degraded"), nil }},
		{"with a panic", func() (*grading.Record, error) { panic("oops") }},
	} {
		k, begun, finish := key(c.name), make(chan struct{}), make(chan struct{})
		var leader sync.WaitGroup
		leader.Go(func() {
			_, _, _ = a.Fetch(t.Context(), k, false, func(context.Context) (*grading.Record, error) {
				close(begun)
				<-finish
				return c.ends()
			})
		})
		<-begun
		done := make(chan struct{})
		go func() {
			defer close(done)
			fetch(t, b, k, makes(record(t, "follower's"), new(atomic.Int32)), "follower's", grading.Miss)
		}()
		await(t, func() bool { return b.Stats().Following == 1 }, "the follower waits")
		close(finish)
		<-done
		leader.Wait()
		fetch(t, a, k, unwanted(t), "follower's", grading.Hit)
	}
}

func TestAGradeKeptBetweenTheLookAndTheLockIsNotComputedAgain(t *testing.T) {
	t.Parallel()
	server, prefix := storetest.Shared(t), storetest.Prefix(t)
	cfg := store.Config{URL: server.URL(), Prefix: prefix}
	a, b := open(t, cfg), open(t, cfg)
	b.BeforeClaim(func() {
		fetch(t, a, key("a"), makes(record(t, "first"), new(atomic.Int32)), "first", grading.Miss)
	})
	fetch(t, b, key("a"), unwanted(t), "first", grading.Hit)
	require.Zero(t, server.Client(t).Exists(t.Context(), prefix+"lock:acme:gr_a").Val(), "the lock, taken for nothing, is given back")
}

func TestForgettingReachesTheMemoryOfOtherProcesses(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	fetch(t, a, key("a"), makes(record(t, "secret"), new(atomic.Int32)), "secret", grading.Miss)
	fetch(t, b, key("a"), unwanted(t), "secret", grading.Hit)
	require.NoError(t, a.Forget(t.Context(), key("a")))
	await(t, func() bool {
		_, err := b.Get(t.Context(), key("a"))
		return errors.Is(err, grading.ErrNotFound)
	}, "the other process forgets too")
	require.Zero(t, b.Stats().MemoryEntries)
}

func TestForgettingKeepsAnotherProcessFromKeepingWhatItIsMaking(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	r, _, err := a.Fetch(t.Context(), key("a"), false, func(ctx context.Context) (*grading.Record, error) {
		return record(t, "secret"), b.Forget(ctx, key("a"))
	})
	require.NoError(t, err)
	require.Equal(t, "secret", summary(t, r))
	for _, s := range []*store.Store{a, b} {
		_, err := s.Get(t.Context(), key("a"))
		require.ErrorIs(t, err, grading.ErrNotFound)
	}
}

func TestAFreshGradeReachesTheMemoryOfOtherProcesses(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	fetch(t, a, key("a"), makes(record(t, "old"), new(atomic.Int32)), "old", grading.Miss)
	fetch(t, b, key("a"), unwanted(t), "old", grading.Hit)
	_, _, err := a.Fetch(t.Context(), key("a"), true, makes(record(t, "new"), new(atomic.Int32)))
	require.NoError(t, err)
	await(t, func() bool {
		r, err := b.Get(t.Context(), key("a"))
		return err == nil && strings.Contains(string(r.JSON()), "new")
	}, "the other process has the new one")
	fetch(t, a, key("a"), unwanted(t), "new", grading.Hit)
}

func TestAFreshGradeIsNotOverwrittenByAnOlderComputation(t *testing.T) {
	t.Parallel()
	a, b := pair(t, storetest.Shared(t))
	fetch(t, a, key("a"), func(ctx context.Context) (*grading.Record, error) {
		_, _, err := b.Fetch(ctx, key("a"), true, makes(record(t, "fresh"), new(atomic.Int32)))
		return record(t, "older"), err
	}, "older", grading.Miss)
	fetch(t, a, key("a"), unwanted(t), "fresh", grading.Hit)
	fetch(t, b, key("a"), unwanted(t), "fresh", grading.Hit)
}

func TestWithoutTheRightToPublishProcessesStillShare(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	require.NoError(t, server.Client(t).Do(t.Context(), "acl", "setuser", "default", "resetchannels").Err())
	deaf := func() *store.Store {
		s, err := store.Open(t.Context(), store.Config{URL: server.URL(), Budget: patient, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	a, b := deaf(), deaf()
	begun, finish := make(chan struct{}), make(chan struct{})
	var leader sync.WaitGroup
	leader.Go(func() {
		fetch(t, a, key("a"), func(context.Context) (*grading.Record, error) {
			close(begun)
			<-finish
			return record(t, "made there"), nil
		}, "made there", grading.Miss)
	})
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		fetch(t, b, key("a"), unwanted(t), "made there", grading.Shared)
	}()
	await(t, func() bool { return b.Stats().Following == 1 }, "the follower waits")
	close(finish)
	<-done
	leader.Wait()
	require.False(t, b.Live())
	// No events: what is in memory cannot be believed, so Redis is asked.
	require.NoError(t, a.Forget(t.Context(), key("a")))
	_, err := b.Get(t.Context(), key("a"))
	require.ErrorIs(t, err, grading.ErrNotFound)
}
