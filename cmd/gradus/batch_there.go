package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// there has a running service grade. A batch that was begun goes on whatever
// becomes of this process: which it is stands in a note beside the results, so
// that the same command finds it again.
type there struct {
	client  *api.Client
	options api.BatchOptions
	calls   []api.Option
	server  string
	note    string // the file's name; empty where results go to standard output
	flags   *batchFlags
	tty     *terminal

	// was is how earlier rows were made, rubrics by question.
	was     made
	rubrics map[string]string
}

// note is what has to be known of a batch to go on with it.
type note struct {
	Server string `json:"server"`
	Batch  string `json:"batch"`
	// Answers are digests of what was sent, by id.
	Answers map[string]string `json:"answers"`
}

func newThere(cmd *cobra.Command, tty *terminal, f *batchFlags) (*there, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(f.server, cfg.APIKey.Reveal(), nil)
	if err != nil {
		return nil, usage(fmt.Errorf("--server: %w", err))
	}
	t := &there{client: client, server: f.server, flags: f, tty: tty, rubrics: map[string]string{}}
	t.options = api.BatchOptions{Detail: api.Detail(f.detail), OnError: f.onError}
	if cfg.Judge != grading.Auto {
		t.options.Judge = cfg.Judge
	}
	if f.fallback {
		t.options.Fallback = grading.Lexical
	}
	if f.maxCost > 0 {
		t.options.MaxCost = &f.maxCost
	}
	if f.fresh {
		t.calls = append(t.calls, api.Fresh())
	}
	if f.out != stdio && f.out != "" {
		t.note = f.out + ".server.json"
	}
	return t, nil
}

func (t *there) close() {}

// find leaves questions to the service.
func (t *there) find(*rows.Row) (*rubric.Question, error) { return nil, nil }

// differs only takes notice: what the service grades with is seen with its first
// row.
func (t *there) differs(row *keptRow, _ *answered) (string, error) {
	t.was.judge, t.was.prompt = cmp.Or(t.was.judge, row.judge), cmp.Or(t.was.prompt, row.prompt)
	if row.question != "" && row.rubric != "" {
		t.rubrics[row.question] = row.rubric
	}
	return "", nil
}

func (t *there) estimate(ctx context.Context, todo []answered) (*api.BatchEstimate, error) {
	body, err := upload(todo)
	if err != nil {
		return nil, err
	}
	e, err := t.client.EstimateBatch(ctx, bytes.NewReader(body), api.MediaNDJSON, t.options, t.calls...)
	return e, t.refused(err, todo)
}

// upload is the answers as a service takes them.
func upload(todo []answered) ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	for i := range todo {
		if err := out.Encode(&todo[i].item); err != nil {
			return nil, fmt.Errorf("encode %s: %w", todo[i].item.ID, err)
		}
	}
	return b.Bytes(), nil
}

func (t *there) grade(ctx context.Context, todo []answered, each func(*rows.Result) error, talk *talk) (*standing, error) {
	left := make(map[string]*answered, len(todo))
	for i := range todo {
		left[todo[i].item.ID] = &todo[i]
	}
	came := &standing{}
	if n := t.read(); n != nil {
		err := t.follow(ctx, n, left, each, talk, came)
		var gone *api.Problem
		if err != nil && (!errors.As(err, &gone) || gone.Status != http.StatusNotFound) {
			return came, err
		}
	}
	rest := make([]answered, 0, len(left))
	for i := range todo {
		if left[todo[i].item.ID] != nil {
			rest = append(rest, todo[i])
		}
	}
	if len(rest) == 0 {
		return came, nil
	}
	n, skipped, err := t.submit(ctx, rest)
	if err != nil {
		return came, err
	}
	came.skipped = skipped
	return came, t.follow(ctx, n, left, each, talk, came)
}

// mostTries is how many batches of the same answers that came to nothing are
// passed over.
const mostTries = 20

// submit makes a batch. Its idempotency key comes of what is sent, so that a
// reply which was lost is no second batch; one that is over and has failures is
// passed over.
func (t *there) submit(ctx context.Context, rest []answered) (*note, int, error) {
	body, err := upload(rest)
	if err != nil {
		return nil, 0, err
	}
	options, err := json.Marshal(t.options)
	if err != nil {
		return nil, 0, fmt.Errorf("encode options: %w", err)
	}
	key := digest(string(options) + "\n" + string(body))
	var b *api.Batch
	for range mostTries {
		b, err = t.client.CreateBatch(ctx, bytes.NewReader(body), api.MediaNDJSON, t.options, append(slices.Clone(t.calls), api.IdempotencyKey(key))...)
		if err != nil {
			return nil, 0, t.refused(err, rest)
		}
		if !b.Over() || b.Failed+b.Cancelled == 0 {
			break
		}
		key = digest(key + b.ID)
	}
	t.faults(b.Errors, rest)
	n := &note{Server: t.server, Batch: b.ID, Answers: make(map[string]string, len(rest))}
	for i := range rest {
		n.Answers[rest[i].item.ID] = sent(&rest[i])
	}
	return n, b.Skipped, t.write(n)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// sent is the digest of what is asked about an answer.
func sent(a *answered) string {
	text, err := json.Marshal(&a.item)
	if err != nil {
		return "" // it was encoded for the upload as well
	}
	return digest(string(text))
}

func (t *there) read() *note {
	if t.note == "" {
		return nil
	}
	text, err := os.ReadFile(t.note)
	n := &note{}
	if err != nil || json.Unmarshal(text, n) != nil || n.Server != t.server || n.Batch == "" {
		return nil
	}
	return n
}

func (t *there) write(n *note) error {
	if t.note == "" {
		return nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode %s: %w", t.note, err)
	}
	return replace(t.note, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// follow takes the results of a batch to its end.
func (t *there) follow(ctx context.Context, n *note, left map[string]*answered, each func(*rows.Result) error, talk *talk, came *standing) error {
	watching, stop := context.WithCancel(ctx)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for event, err := range t.client.Events(watching, n.Batch, 0) {
			if err != nil {
				return // the results are what counts
			}
			talk.progress(standingThere(&event.Batch))
		}
	}()
	defer func() { stop(); <-heard }()
	for row, err := range t.client.Results(ctx, n.Batch, true) {
		if err != nil {
			return t.leave(ctx, n, err)
		}
		answer := left[row.ID]
		if answer == nil || n.Answers[row.ID] != sent(answer) {
			continue // it is there already, or was another then
		}
		if row.Grade != nil && !t.flags.mix {
			was := t.was
			was.rubric = t.rubrics[row.Grade.QuestionID]
			if reason := was.unlike(madeOf(row.Grade)); reason != "" {
				return usage(fmt.Errorf("%s: rows of earlier runs were graded %s; name another file, or allow both with --mix", t.flags.out, reason))
			}
		}
		out := &rows.Result{Index: answer.index, ID: row.ID, Status: row.Status, Error: row.Error}
		if row.Grade != nil {
			if out.Grade, err = json.Marshal(row.Grade); err != nil {
				return fmt.Errorf("encode the grade of %s: %w", row.ID, err)
			}
		}
		if err := each(out); err != nil {
			return err
		}
		delete(left, row.ID)
	}
	b, err := t.client.Batch(ctx, n.Batch)
	if err != nil {
		return t.leave(ctx, n, err)
	}
	skipped := came.skipped
	*came = *standingThere(b)
	came.skipped = skipped
	return nil
}

// leave says where a batch is that is not over.
func (t *there) leave(ctx context.Context, n *note, err error) error {
	if ctx.Err() != nil {
		fmt.Fprintf(t.tty.err, "batch %s goes on at %s\n", n.Batch, t.server)
		return ctx.Err()
	}
	return fmt.Errorf("follow batch %s: %w", n.Batch, err)
}

// done forgets a batch whose results are all in the file.
func (t *there) done(context.Context) {
	if t.note != "" {
		_ = os.Remove(t.note) // there may be none; one that stays is followed once more
	}
}

func standingThere(b *api.Batch) *standing {
	return &standing{
		total: b.Total, pending: b.Pending, cached: b.Cached, review: b.NeedsReview, failed: b.Failed + b.Cancelled,
		spent: b.Usage, saved: b.Saved,
	}
}

// faults prints what a service found wrong with rows, at their place in the file.
func (t *there) faults(faults []api.Fault, todo []answered) {
	for _, fault := range faults {
		if fault.Line > 0 && fault.Line <= len(todo) {
			fault.Line = todo[fault.Line-1].Line
		}
		fmt.Fprintln(t.tty.err, placed("answers", fault))
	}
}

// refused explains why a service did not take answers; usage, where it is they
// that are at fault.
func (t *there) refused(err error, todo []answered) error {
	var problem *api.Problem
	if !errors.As(err, &problem) {
		return err
	}
	t.faults(problem.Errors, todo)
	switch problem.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the service refuses the key: set GRADUS_API_KEY to one of its keys: %w", err)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusNotFound:
		return usage(err)
	}
	return err
}
