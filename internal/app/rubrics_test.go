package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gradus-ai/gradus/internal/rubric"
)

const aSet = `version: 1
id: mine
title: Mine
questions:
  - id: only
    kind: technical
    question: %s
    criteria:
      - {id: one, statement: Says one thing, weight: 100}
`

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	// Written aside and moved, as a careful deployment does.
	aside := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(aside, []byte(content), 0o600))
	require.NoError(t, os.Rename(aside, filepath.Join(folder, name)))
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// watched starts a shelf over a folder and returns what every reload said.
func watched(t *testing.T, folder string) (*shelf, <-chan error) {
	t.Helper()
	s, err := newShelf(folder, silent())
	require.NoError(t, err)
	reloads := make(chan error, 16)
	s.reloaded = func(err error) { reloads <- err }
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return s.watch(ctx) })
	t.Cleanup(func() {
		cancel()
		require.NoError(t, group.Wait())
	})
	require.NoError(t, next(t, reloads), "the first look, once the watch stands")
	return s, reloads
}

func next(t *testing.T, reloads <-chan error) error {
	t.Helper()
	select {
	case err := <-reloads:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the change was not noticed")
		return nil
	}
}

func TestAChangedFolderIsInUseAtOnce(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "mine.yaml", fmt.Sprintf(aSet, "Why test backups?"))
	s, reloads := watched(t, folder)

	held, err := s.library.Find("mine/only")
	require.NoError(t, err)
	write(t, folder, "mine.yaml", fmt.Sprintf(aSet, "Why rehearse restores?"))
	require.NoError(t, next(t, reloads))
	changed, err := s.library.Find("mine/only")
	require.NoError(t, err)
	require.Equal(t, "Why rehearse restores?", changed.Text)
	require.NotEqual(t, held.Digest(), changed.Digest())
	require.Equal(t, "Why test backups?", held.Text, "who holds the old question keeps it whole")
}

func TestAFaultyFolderChangesNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "mine.yaml", fmt.Sprintf(aSet, "Why test backups?"))
	s, reloads := watched(t, folder)

	write(t, folder, "mine.yaml", "version: 1\nid: mine\nquestions: [")
	require.ErrorIs(t, next(t, reloads), rubric.ErrInvalid)
	require.Contains(t, s.Fault(), "mine.yaml")
	kept, err := s.library.Find("mine/only")
	require.NoError(t, err)
	require.Equal(t, "Why test backups?", kept.Text)

	write(t, folder, "mine.yaml", fmt.Sprintf(aSet, "Why mend it?"))
	require.NoError(t, next(t, reloads))
	require.Empty(t, s.Fault())
}

func TestAFolderReplacesAnEmbeddedSetOfTheSameID(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "own.yaml", `version: 1
id: lead-platform-engineer
title: Ours
questions:
  - id: only
    kind: technical
    question: Why?
    criteria:
      - {id: one, statement: Says one thing, weight: 100}
`)
	s, err := newShelf(folder, silent())
	require.NoError(t, err)
	set, err := s.library.Set("lead-platform-engineer")
	require.NoError(t, err)
	require.Len(t, set.Questions, 1)
}

func TestAFolderThatIsNotThereStopsTheStart(t *testing.T) {
	t.Parallel()
	_, err := newShelf(filepath.Join(t.TempDir(), "nowhere"), silent())
	require.ErrorIs(t, err, os.ErrNotExist)
}
