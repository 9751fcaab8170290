package pages_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/chromedp/chromedp"

	"tunic/slashing"
)

// pictured is how many relays the network of the pictures has.
const pictured = 40

// takePictures writes the main pages as PNG into the folder of -screenshots.
func takePictures(b *browser, n *world) {
	epoch := n.Ledger.Head().Header.DirEpoch - 1
	for _, p := range []struct {
		name, path    string
		width, height int64
		dark          bool
	}{
		{"overview", "/", 1280, 960, false},
		{"nodes", "/nodes", 1280, 860, true},
		{"node", "/nodes/" + n.Relays[silent].ID.String(), 1280, 1150, false},
		{"slash", "/slashes/" + n.offence[slashing.DoubleDescriptor], 1280, 1500, false},
		{"map", "/map", 1280, 1000, true},
		{"epoch", fmt.Sprint("/epochs/", epoch), 1280, 1100, false},
		{"proof", "/slashes/" + n.offence[slashing.Unavailable], 1280, 1100, true},
		{"phone", "/nodes/" + n.Relays[silent].ID.String(), 390, 844, false},
	} {
		b.dark(p.dark)
		b.size(p.width, p.height)
		b.open(p.path)
		b.wait("the stream", `document.querySelector(".live.on") !== null`)
		ctx, cancel := context.WithTimeout(b.ctx, actionLimit)
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		cancel()
		if err != nil {
			b.Fatal(err)
		}
		small, err := fewColours(shot)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*screenshots, p.name+".png"), small, 0o644); err != nil {
			b.Fatal(err)
		}
		b.Logf("%s: %d KB", p.name, len(small)>>10)
	}
}

// fewColours is a picture in the 256 colours that it has most often, greys
// counting less: a page has few, and the edges of letters have shades of them.
func fewColours(shot []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	box := img.Bounds()
	often := map[color.NRGBA]int{}
	at := func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA) }
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	for c := range often { // a dot in a colour says more than one more grey
		often[c] *= 1 + int(max(c.R, c.G, c.B)-min(c.R, c.G, c.B))/8
	}
	all := slices.SortedFunc(maps.Keys(often), func(a, b color.NRGBA) int {
		return cmp.Or(cmp.Compare(often[b], often[a]), slices.Compare([]uint8{a.R, a.G, a.B}, []uint8{b.R, b.G, b.B}))
	})
	var palette color.Palette
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.NRGBA]uint8{}
	for _, c := range all {
		nearest[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(box, palette)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var w bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&w, out)
	return w.Bytes(), err
}
