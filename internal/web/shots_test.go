package web_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

var shots = flag.String("shots", "", "folder to leave pictures of every page in")

// TestPicturesOfEveryPage leaves pictures for people to look at.
func TestPicturesOfEveryPage(t *testing.T) {
	if *shots == "" {
		return // nobody asked for pictures
	}
	base := service(t)
	b := newTab(t, base)
	shot := func(name string) {
		t.Helper()
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o600))
	}
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"narrow", "light", 360, 780}} {
		b.scheme(look.scheme)
		b.size(look.width, look.height)
		b.visit("/")
		shot("home-" + look.name)
		b.visit(firstQuestion)
		shot("question-" + look.name)
		b.click("[data-example]")
		b.click("[data-submit]")
		b.until(`document.querySelector("[data-grade]")`)
		shot("grade-" + look.name)
		b.visit("/nothing")
		shot("lost-" + look.name)
		b.visit("/session")
		shot("session-" + look.name)
		eval[bool](b, "localStorage.clear(), true")
	}
	b.visit(firstQuestion)
	b.size(1280, 900)
	b.scheme("light")
	b.click("[data-example]")
	b.click("[data-submit]")
	b.until(`document.querySelector("[data-grade]")`)
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	shot("grade-print")
	printed := call(b, page.PrintToPDF, page.PrintToPDFParams{})
	_ = printed
}

const firstQuestion = "/sets/lead-platform-engineer/first-90-days"
