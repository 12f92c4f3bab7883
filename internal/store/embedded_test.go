package store

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func embeddedStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestTheEmbeddedRedisKeepsStrangersOut(t *testing.T) {
	t.Parallel()
	s := embeddedStore(t)
	host, _, _ := strings.Cut(s.embedded.listener.Addr().String(), ":")
	require.Equal(t, "127.0.0.1", host)
	stranger := redis.NewClient(&redis.Options{Addr: s.embedded.listener.Addr().String()})
	defer func() { _ = stranger.Close() }()
	require.ErrorContains(t, stranger.Keys(t.Context(), "*").Err(), "NOAUTH")
}

// failing is a listener of a process that is out of file descriptors for a while.
type failing struct {
	net.Listener
	times atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.times.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestTheEmbeddedRedisOutlivesAFailureToAccept(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &failing{Listener: l}
	f.times.Store(3)
	e, err := embeddedOn(f)
	require.NoError(t, err)
	t.Cleanup(e.close)
	client := e.client(5 * time.Second)
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
}

func TestKeysOfTheEmbeddedRedisExpireByTheClock(t *testing.T) {
	t.Parallel()
	s := embeddedStore(t)
	begun := time.Now()
	require.NoError(t, s.main.Set(t.Context(), "k", "v", 300*time.Millisecond).Err())
	require.Eventually(t, func() bool {
		return errors.Is(s.main.Get(t.Context(), "k").Err(), redis.Nil)
	}, 10*time.Second, 5*time.Millisecond)
	require.Greater(t, time.Since(begun), 300*time.Millisecond-agePeriod)
}

func TestTheEmbeddedRedisTakesLargePipelines(t *testing.T) {
	t.Parallel()
	s := embeddedStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pipe := s.main.Pipeline()
	for range 500 {
		pipe.Set(ctx, "k", strings.Repeat("x", 1000), 0)
	}
	_, err := pipe.Exec(ctx)
	require.NoError(t, err)
}

// Every script does the same on the embedded Redis as on a real one, where the
// other tests run them.
func TestScriptsRunOnTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	s := embeddedStore(t)
	ctx, c := t.Context(), s.main
	n := names{"g", "r", "l"}
	require.NoError(t, c.Set(ctx, n.lock, "mine", time.Minute).Err())
	for _, token := range []string{"yours", "mine"} {
		held, err := runRenew(ctx, c, n.lock, token, time.Hour)
		require.NoError(t, err)
		require.Equal(t, token == "mine", held)
	}
	require.Greater(t, c.PTTL(ctx, n.lock).Val(), time.Minute)
	for _, token := range []string{"yours", "mine"} {
		kept, err := runCommit(ctx, c, n, token, []byte(token), []byte("replies"), time.Hour, "ch", "e")
		require.NoError(t, err)
		require.Equal(t, token == "mine", kept)
	}
	require.Equal(t, "mine", c.Get(ctx, n.grade).Val())
	require.EqualValues(t, 2, c.Exists(ctx, n.grade, n.replies, n.lock).Val(), "the lock is gone")
	require.NoError(t, c.Set(ctx, n.lock, "mine", time.Minute).Err())
	require.NoError(t, runRelease(ctx, c, n.lock, "yours", "ch", "e"))
	require.EqualValues(t, 1, c.Exists(ctx, n.lock).Val())
	require.NoError(t, runRelease(ctx, c, n.lock, "mine", "ch", "e"))
	require.Zero(t, c.Exists(ctx, n.lock).Val())
	require.NoError(t, runForget(ctx, c, n, "ch", "e"))
	require.Zero(t, c.Exists(ctx, n.grade, n.replies).Val())
}
