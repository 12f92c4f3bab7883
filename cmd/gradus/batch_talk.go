package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// talk shows how far a batch has come: a bar on a terminal, and elsewhere a line
// now and then.
type talk struct {
	out     io.Writer
	total   int
	bars    *mpb.Progress // nil elsewhere than on a terminal
	bar     *mpb.Bar
	last    atomic.Pointer[standing]
	before  *standing // what had come before the batch that is under way; nil for nothing
	started time.Time
	told    time.Time
	quiet   bool
}

// tellEvery is how often a line is written where there is no terminal.
const tellEvery = 10 * time.Second

func newTalk(tty *terminal, quiet bool, total, kept int) *talk {
	t := &talk{out: tty.err, total: total, started: time.Now(), told: time.Now(), quiet: quiet || total == 0}
	if kept > 0 && !quiet {
		fmt.Fprintf(tty.err, "going on: %s graded already, %d to go\n", count(kept, "answer"), total)
	}
	if t.quiet || !interactive(tty.err) {
		return t
	}
	t.bars = mpb.New(mpb.WithOutput(tty.err), mpb.WithWidth(40), mpb.WithRefreshRate(redraw))
	t.bar = t.bars.New(int64(total), mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d  ")),
		mpb.AppendDecorators(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "done"), decor.Any(func(decor.Statistics) string { return t.extras() })),
	)
	return t
}

// extras is what a batch with a model costs and saves, and what went wrong.
func (t *talk) extras() string {
	b := t.last.Load()
	if b == nil {
		return ""
	}
	text := ""
	if b.spent.CostUSD != nil && b.spent.Calls > 0 {
		text += fmt.Sprintf("  $%.4f", *b.spent.CostUSD)
	} else if b.spent.Calls > 0 {
		text += fmt.Sprintf("  %s", count(b.spent.Calls, "call"))
	}
	if b.cached > 0 {
		text += fmt.Sprintf("  %d cached", b.cached)
	}
	if b.review > 0 {
		text += fmt.Sprintf("  %d for review", b.review)
	}
	if b.failed > 0 {
		text += fmt.Sprintf("  %d failed", b.failed)
	}
	return text
}

// progress takes the batch as it stands.
func (t *talk) progress(b *standing) {
	if t.before != nil {
		b = t.before.plus(b)
	}
	t.last.Store(b)
	if t.quiet {
		return
	}
	done := b.total - b.pending
	if t.bar != nil {
		t.bar.SetCurrent(int64(done))
		return
	}
	if time.Since(t.told) >= tellEvery && done < t.total {
		t.told = time.Now()
		t.line(done)
	}
}

func (t *talk) line(done int) {
	eta := ""
	if done > 0 && done < t.total {
		left := time.Duration(float64(time.Since(t.started)) / float64(done) * float64(t.total-done))
		eta = ", about " + left.Round(time.Second).String() + " left"
	}
	fmt.Fprintf(t.out, "%d of %s%s%s\n", done, count(t.total, "answer"), eta, t.extras())
}

// drains says that what is in progress is finished, and nothing more is begun.
func (t *talk) drains() {
	t.say("stopping: the answers in progress are being finished; Ctrl-C again stops at once")
}

// waiting says, now and then, how many requests a provider has answered.
func (t *talk) waiting(answered, total int) {
	if time.Since(t.told) >= tellEvery {
		t.told = time.Now()
		t.say("waiting for the provider: %d of %s answered", answered, count(total, "request"))
	}
}

// say writes a line.
func (t *talk) say(format string, values ...any) {
	if t.quiet {
		return
	}
	text := fmt.Sprintf(format, values...) + "\n"
	if t.bars != nil {
		// Above the bar. The echo of a Ctrl-C may have moved the cursor.
		_, _ = io.WriteString(t.bars, "\r"+text)
		return
	}
	fmt.Fprint(t.out, text)
}

// end leaves a last line.
func (t *talk) end() {
	if t.bar == nil {
		return
	}
	if !t.bar.Completed() {
		t.bar.Abort(false)
	}
	t.bars.Wait()
}
