package text

import (
	"unicode"
	"unicode/utf8"
)

// abbreviations are words whose full stop does not end a sentence.
var abbreviations = set(`
	eg ie vs cf dr mr mrs ms prof st no nr fig figs eq ref refs sec ch vol pp approx ca inc ltd corp co jr sr dept est
	resp incl excl min max avg esp viz al e.g i.e
`)

// stops reports whether the full stop here ends the sentence.
func (p *parser) stops() bool {
	next, size := p.peek(p.at + 1)
	if next == '.' { // an ellipsis: only its last point decides
		return false
	}
	tokens := p.doc.Tokens
	attached := len(tokens) > p.first && tokens[len(tokens)-1].End == p.cp
	if size > 0 && kindOf(next) != space && !closes(next) {
		// "end.Start" lacks a space; "file.name", "3.x" and "e.g.," do not.
		return attached && unicode.IsUpper(next) && p.lowBefore() && len(tokens[len(tokens)-1].Norm) > 1
	}
	following := p.nextSign(p.at + 1)
	if following < 0 {
		return true
	}
	if !attached {
		// The last point of an ellipsis, or a point after a bracket or quote.
		return p.at == 0 || p.src[p.at-1] != '.' || !unicode.IsLower(following)
	}
	last := tokens[len(tokens)-1]
	switch {
	case last.Norm == "etc":
		return !unicode.IsLower(following)
	case last.Class == Number:
		return len(tokens)-1 > p.first || last.Start > p.start // else it numbers a list item
	case abbreviations[last.Norm]:
		return false
	case last.Norm == "a.m" || last.Norm == "p.m":
		return !unicode.IsLower(following)
	case len(last.Norm) >= 3 && last.Norm[1] == '.':
		return false // "the U.S. Army"
	case last.End-last.Start == 1:
		return p.letterStops(following)
	}
	return true
}

// letterStops decides on the full stop after a single letter: an initial goes
// on to the name.
func (p *parser) letterStops(following rune) bool {
	r, _ := utf8.DecodeLastRuneInString(p.src[:p.at])
	return !unicode.IsUpper(r) || r == 'I' || !unicode.IsUpper(following)
}

// lowBefore reports whether a small letter stands before the place reached.
func (p *parser) lowBefore() bool {
	r, _ := utf8.DecodeLastRuneInString(p.src[:p.at])
	return unicode.IsLower(r)
}

// closes reports whether a sign after a full stop still belongs to its
// sentence.
func closes(r rune) bool {
	switch r {
	case ')', ']', '}', '"', '\'', '”', '’', '»', '.', '!', '?', '*', '_', '`', '」', '』', '）':
		return true
	}
	return false
}

// close passes the sign that ends the sentence, with what belongs to it.
func (p *parser) close() {
	_, size := p.peek(p.at)
	p.take(size, 1)
	for p.at < len(p.src) {
		r, size := p.peek(p.at)
		if !closes(r) {
			break
		}
		p.take(size, 1)
	}
	p.cutSentence()
}

// cutSentence ends the sentence before the place reached. Signs without a word
// wait for the next one.
func (p *parser) cutSentence() {
	if len(p.doc.Tokens) == p.first {
		return
	}
	p.doc.Sentences = append(p.doc.Sentences, Sentence{First: p.first, Last: len(p.doc.Tokens), Start: p.start, End: p.end})
	p.first, p.start = len(p.doc.Tokens), -1
}

// wrapped is the length of a line, in bytes, from which it may have been broken
// by a page's width and not by its author.
const wrapped = 50

// lineEnd ends the sentence at a line end, unless the line was only wrapped.
func (p *parser) lineEnd() {
	length := p.at - p.line
	_, size := p.peek(p.at)
	p.line = p.at + size
	if length >= wrapped && length <= 2*wrapped {
		if next, _ := p.peek(p.at + size); unicode.IsLower(next) && !p.endsWith(':') {
			return
		}
	}
	p.cutSentence()
}

func (p *parser) endsWith(c byte) bool { return p.at > 0 && p.src[p.at-1] == c }

// finish ends the last sentence; signs left over belong to it.
func (p *parser) finish() {
	p.cutSentence()
	if n := len(p.doc.Sentences); n > 0 && p.start >= 0 {
		p.doc.Sentences[n-1].End = p.end
	}
}
