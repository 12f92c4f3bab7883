package store_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestBatchesAreAdmittedWhereTheyAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args     []string
		do       []any
		volatile bool
		durable  bool
		err      error
	}{
		"append-only and never evicting":       {durable: true},
		"no append-only file":                  {args: []string{"--appendonly", "no"}, err: batch.ErrNotDurable},
		"evicting":                             {args: []string{"--maxmemory-policy", "allkeys-lru"}, err: batch.ErrNotDurable},
		"no append-only file, and allowed":     {args: []string{"--appendonly", "no"}, volatile: true},
		"INFO and CONFIG forbidden":            {do: []any{"acl", "setuser", "default", "-info", "-config"}, durable: true},
		"writes forbidden":                     {do: []any{"acl", "setuser", "default", "-set"}, err: store.ErrUnavailable},
		"full":                                 {do: []any{"config", "set", "maxmemory", "1"}, err: batch.ErrStorageFull},
		"full, though volatile and allowed to": {args: []string{"--appendonly", "no", "--maxmemory", "1"}, volatile: true, err: batch.ErrStorageFull},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.Start(t, c.args...)
			if c.do != nil {
				require.NoError(t, server.Client(t).Do(t.Context(), c.do...).Err())
			}
			durable, err := open(t, store.Config{URL: server.URL(), AllowVolatile: c.volatile}).Batches().Admit(t.Context())
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.durable, durable)
		})
	}
	durable, err := open(t, store.Config{}).Batches().Admit(t.Context())
	require.NoError(t, err)
	require.False(t, durable, "what is inside the process ends with it")
}

func TestAProcessKeepsOnlySoManyItems(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "a*[b]?\\:"} {
		b := open(t, store.Config{Prefix: prefix}).Batches()
		rows := make([]any, 0, 2*batch.MaxItems)
		for i := range batch.MaxItems {
			rows = append(rows, i, "-")
		}
		for i := range 5 {
			_, err := b.Admit(t.Context())
			require.NoError(t, err)
			require.NoError(t, b.Client().HSet(t.Context(), fmt.Sprintf("%srows:acme:ba_%d", b.Prefix(), i), rows...).Err())
		}
		_, err := b.Admit(t.Context())
		require.ErrorIs(t, err, batch.ErrStorageFull)
	}
}

func TestAdmissionEndsBeforeMemoryDoes(t *testing.T) {
	t.Parallel()
	server, now := storetest.Start(t), newClock()
	s := open(t, store.Config{URL: server.URL(), Now: now.now})
	_, err := s.Batches().Admit(t.Context())
	require.NoError(t, err)
	used := s.Health(t.Context()).Main.UsedBytes
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory", jsonNumber(used*10/9)).Err())
	_, err = s.Batches().Admit(t.Context())
	require.NoError(t, err, "asked once a second")
	now.pass(2 * time.Second)
	_, err = s.Batches().Admit(t.Context())
	require.ErrorIs(t, err, batch.ErrStorageFull)
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory", jsonNumber(used*2)).Err())
	now.pass(2 * time.Second)
	_, err = s.Batches().Admit(t.Context())
	require.NoError(t, err)
}

// Fault 14: a Redis whose disk fails refuses writes and answers reads.
func TestARedisWhoseDiskFailsTakesNoBatchAndShowsThoseItHas(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, "--enable-protected-configs", "yes")
	s := open(t, store.Config{URL: server.URL()})
	batches := s.Batches()
	rec := submit(t, batches, "acme", "ba_1", 2)
	client := server.Client(t)
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(disk, 0o700))
	for name, value := range map[string]string{"dir": disk, "save": "3600 1"} {
		require.NoError(t, client.ConfigSet(t.Context(), name, value).Err())
	}
	require.NoError(t, os.Remove(disk))
	require.NoError(t, client.BgSave(t.Context()).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(client.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err")
	}, 30*time.Second, 10*time.Millisecond)

	_, err := batches.Admit(t.Context())
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.Contains(t, s.Health(t.Context()).Main.Fault, "MISCONF")
	got, err := batches.Get(t.Context(), rec.Key)
	require.NoError(t, err)
	require.Equal(t, rec.Total, got.Total)

	require.NoError(t, client.ConfigSet(t.Context(), "save", "").Err())
	require.Eventually(t, func() bool { // a verdict stands for a second
		_, err := batches.Admit(t.Context())
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
}

func TestARedisThatComesBackEmptyIsNoticed(t *testing.T) {
	t.Parallel()
	server, now := storetest.Start(t), newClock()
	var log syncBuffer
	s := open(t, store.Config{URL: server.URL(), Now: now.now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	warnings := func() string { return strings.Join(s.Health(t.Context()).Main.Warnings, "; ") }
	back := func() {
		server.Kill9()
		now.pass(2 * time.Second)
		_, err := s.Batches().Admit(t.Context())
		require.ErrorIs(t, err, store.ErrUnavailable)
		server.Restart(t)
		await(t, func() bool { return s.Health(t.Context()).Ready() }, "Redis is back")
	}
	require.NotContains(t, warnings(), "lost")
	// The mark is on disk within a second of having been written.
	require.NoError(t, server.Client(t).BgRewriteAOF(t.Context()).Err())
	await(t, func() bool {
		return strings.Contains(server.Client(t).Info(t.Context(), "persistence").Val(), "aof_rewrite_in_progress:0\r")
	}, "the file is written")
	back()
	require.NotContains(t, warnings(), "lost", "it came back with what it held")
	require.Contains(t, log.String(), "restarted")

	require.NoError(t, server.Client(t).FlushAll(t.Context()).Err())
	require.Contains(t, warnings(), "lost")
	require.Contains(t, log.String(), "has lost what it held")
	require.Contains(t, warnings(), "lost", "and it is not forgotten")
	require.True(t, s.Health(t.Context()).Degraded())
	now.pass(2 * time.Second)
	_, err := s.Batches().Admit(t.Context())
	require.NoError(t, err, "it keeps what it is given now")
}

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
