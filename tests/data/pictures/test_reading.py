"""Pictures of every mode and in every state."""

import io
import os

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from easyconv.data import PictureFormat
from easyconv.data.pictures.files import is_picture_file, pictures_in
from easyconv.data.pictures.reading import read_picture
from easyconv.errors import ArgumentError, ArgumentTypeError, BrokenPictureError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
RGB = PIL.Image.fromarray(PIXELS)


def values(picture, channels=3):
    return np.asarray(read_picture(picture, channels))


def saved(picture, kind, **arguments):
    file = io.BytesIO()
    picture.save(file, kind, **arguments)
    return PIL.Image.open(io.BytesIO(file.getvalue()))


# --- modes ------------------------------------------------------------------------------------------------------------


def test_colour_stays_and_grey_is_repeated():
    assert np.array_equal(values(RGB), PIXELS)
    grey = PIL.Image.fromarray(PIXELS[..., 0])
    assert np.array_equal(values(grey), np.repeat(PIXELS[..., :1], 3, 2))
    assert np.array_equal(values(grey, 1), PIXELS[..., 0])
    assert np.array_equal(values(RGB, 1), np.asarray(RGB.convert("L")))


def test_palette_one_bit_and_cmyk_keep_their_colours():
    palette = RGB.quantize(256)
    assert np.array_equal(values(palette), np.asarray(palette.convert("RGB")))
    bits = PIL.Image.fromarray(PIXELS[..., 0] > 128)
    assert set(values(bits).flatten()) == {0, 255}
    cmyk = saved(RGB.convert("CMYK"), "JPEG", quality=100)
    assert cmyk.mode == "CMYK"
    assert np.abs(values(cmyk).astype(int) - np.asarray(cmyk.convert("RGB"))).max() == 0


def test_transparency_shows_white():
    clear = PIL.Image.fromarray(np.dstack([PIXELS, np.zeros((6, 4), np.uint8)]))
    assert (values(clear) == 255).all()
    solid = PIL.Image.fromarray(np.dstack([PIXELS, np.full((6, 4), 255, np.uint8)]))
    assert np.array_equal(values(solid), PIXELS)
    half = PIL.Image.fromarray(np.dstack([np.zeros((6, 4, 3), np.uint8), np.full((6, 4), 128, np.uint8)]))
    assert set(values(half).flatten()) == {127}
    grey = PIL.Image.fromarray(PIXELS[..., 0]).convert("LA")
    grey.putalpha(0)
    assert (values(grey, 1) == 255).all()
    palette = PIL.Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    assert values(saved(palette, "PNG", transparency=0)).min() == 255


def test_sixteen_bits_are_scaled_and_not_cut_off():
    wide = RNG.integers(0, 65536, (6, 4), dtype=np.uint16)
    assert np.array_equal(values(saved(PIL.Image.fromarray(wide), "PNG"), 1), np.round(wide / 257))
    assert np.array_equal(values(PIL.Image.fromarray(wide.astype(np.int32)), 1), np.round(wide / 257))
    small = PIL.Image.fromarray(PIXELS[..., 0].astype(np.int32))
    assert np.array_equal(values(small, 1), PIXELS[..., 0])


def test_wider_ones_and_floats_are_stretched():
    floats = PIL.Image.fromarray(np.linspace(-3, 5, 24, dtype=np.float32).reshape(6, 4))
    assert (values(floats, 1).min(), values(floats, 1).max()) == (0, 255)
    wide = PIL.Image.fromarray(np.arange(24, dtype=np.int32).reshape(6, 4) * 1_000_000)
    assert np.array_equal(values(wide, 1).flatten(), np.round(np.linspace(0, 255, 24)))
    assert (values(PIL.Image.new("F", (2, 2), 7.0)) == 0).all()


def test_the_first_frame_of_an_animation():
    frames = [PIL.Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    animation = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert animation.n_frames == 2
    assert values(animation)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    plain = np.zeros((4, 6, 3), np.uint8)
    plain[0, 0] = 255  # the upper left corner
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    turned = values(saved(PIL.Image.fromarray(plain), "PNG", exif=exif))
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}[
        orientation
    ]
    assert turned.shape[:2] == ((4, 6) if orientation < 5 else (6, 4))
    assert turned[corner].tolist() == [255, 255, 255]


# --- broken files -----------------------------------------------------------------------------------------------------


def file_with(path, content):
    path.write_bytes(content)
    return path


def jpeg():
    file = io.BytesIO()
    PIL.Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.jpg", jpeg()[:-1000], "image file is truncated"),
        ("text.jpg", b"I am no picture", "it is no picture of a known format"),
        ("empty.png", b"", "it is no picture of a known format"),
    ],
)
def test_broken_files_are_named_with_the_reason(tmp_path, name, content, reason):
    path = file_with(tmp_path / name, content)
    with pytest.raises(BrokenPictureError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"The picture {str(path)!r} ")
    assert reason in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("side", "reason"), [(12, "has 144 pixels, more than .* allows: 100"), (20, "exceeds limit")])
def test_pictures_that_may_be_an_attack(tmp_path, monkeypatch, side, reason):
    PIL.Image.new("L", (side, side)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BrokenPictureError, match=reason):
        read_picture(tmp_path / "bomb.png")


def test_what_is_no_file(tmp_path):
    with pytest.raises(BrokenPictureError, match="there is no such file"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(BrokenPictureError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(ArgumentTypeError, match=r"a path or a PIL image, got 3 \(int\)"):
        read_picture(3)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = file_with(tmp_path / "secret.jpg", jpeg())
    path.chmod(0)
    with pytest.raises(BrokenPictureError, match="no permission"):
        read_picture(path)


def test_truncated_files_stay_broken_whatever_others_have_told_pil(tmp_path):
    path = file_with(tmp_path / "cut.jpg", jpeg()[:-1000])
    from PIL import ImageFile

    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    with pytest.raises(BrokenPictureError):
        read_picture(path)


# --- one size ---------------------------------------------------------------------------------------------------------

SIZES = st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["crop", "pad", "squash"]), st.sampled_from([1, 3]))
def test_every_picture_gets_the_size(width, height, new_width, new_height, resize, channels):
    picture = PIL.Image.new("RGB", (width, height), (200, 100, 50))
    pixels = PictureFormat((new_height, new_width), resize, channels)(picture)
    assert pixels.shape == (channels, new_height, new_width)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    colours = {tuple(colour) for colour in pixels.reshape(channels, -1).T.tolist()}
    wanted = (200, 100, 50) if channels == 3 else (int(np.asarray(picture.convert("L"))[0, 0]),)
    assert wanted in colours
    assert colours <= {wanted, (0,) * channels}
    assert resize == "pad" or colours == {wanted}


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (33, 47), (200, 64)])
def test_crop_is_torchvisions_resize_and_center_crop(shape):
    picture = PIL.Image.fromarray(RNG.integers(0, 256, (*shape, 3), dtype=np.uint8))
    theirs = v2.CenterCrop(32)(v2.Resize(32)(picture))
    ours = PictureFormat(32)(picture)
    # torchvision rounds the long side down; one of the two may be a pixel longer.
    if min(shape) * round(32 * max(shape) / min(shape)) == 32 * max(shape):
        assert np.array_equal(ours, np.asarray(theirs).transpose(2, 0, 1))
    assert np.abs(ours.astype(float) - np.asarray(theirs).transpose(2, 0, 1)).mean() < 40


def test_squash_is_a_resize_and_pad_keeps_all():
    picture = PIL.Image.fromarray(RNG.integers(1, 256, (20, 40, 3), dtype=np.uint8))
    squashed = np.asarray(picture.resize((8, 8), PIL.Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(PictureFormat(8, "squash")(picture), squashed)
    padded = PictureFormat(8, "pad")(picture)
    assert (padded[:, :2] == 0).all()
    assert (padded[:, -2:] == 0).all()
    assert np.array_equal(
        padded[:, 2:6], np.asarray(picture.resize((8, 4), PIL.Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    )


def test_a_picture_of_the_size_is_not_touched():
    assert np.array_equal(PictureFormat((6, 4))(RGB), PIXELS.transpose(2, 0, 1))
    assert PictureFormat(5) == PictureFormat((5, 5))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"size": 0}, ArgumentError, "size must be at least 1"),
        ({"size": 2.5}, ArgumentTypeError, "size must be an integer"),
        ({"size": (1, 2, 3)}, ArgumentError, r"one integer, or \(height, width\)"),
        ({"size": 8, "resize": "stretch"}, ArgumentError, "resize"),
        ({"size": 8, "channels": 4}, ArgumentError, r"3 \(colour\) or 1 \(grey\), got 4"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        PictureFormat(**arguments)


# --- which files ------------------------------------------------------------------------------------------------------


def test_pictures_in_a_folder(tmp_path):
    for name in (
        "b.JPG",
        "a.png",
        ".hidden.png",
        "notes.txt",
        "Thumbs.db",
        ".DS_Store",
        "ünï çode 🐈.jpeg",
        "x" * 200 + ".png",
    ):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.gif").write_bytes(b"")
    (tmp_path / "deeper" / "circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    names = [os.path.relpath(file, tmp_path) for file in pictures_in(tmp_path)]
    assert names == sorted(["b.JPG", "a.png", "deeper/c.gif", "link.png", "ünï çode 🐈.jpeg", "x" * 200 + ".png"])
    assert is_picture_file("a.webp")
