"""Pictures of every mode and in every state."""

import contextlib
import io
import os

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from easyconv.data import PictureFormat
from easyconv.data.pictures.files import is_picture_file, pictures_in
from easyconv.data.pictures.reading import check_picture, read_picture
from easyconv.data.pictures.strict import whole_files_only
from easyconv.errors import ArgumentError, ArgumentTypeError, BrokenPictureError, DataError

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


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 128, 255), (255, 255, 255), (0, 0, 0)])
def test_cmyk_as_photoshop_writes_it(colour):
    """JPEG files of four colours hold them inverted, and say so in an Adobe segment; white must not become black."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (16, 16), colour).convert("CMYK").save(file, "JPEG", quality=95)
    if b"Adobe" not in file.getvalue():  # PIL writes what Photoshop does, without the segment
        start, segment = file.getvalue()[:2], b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
        file = io.BytesIO(start + segment + file.getvalue()[2:])
    picture = PIL.Image.open(file)
    assert picture.info["adobe"] == 100
    assert np.abs(values(picture).astype(int) - colour).max() <= 3


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
    assert (values(grey.convert("La"), 1) == 255).all()
    palette = PIL.Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    assert values(saved(palette, "PNG", transparency=0)).min() == 255


def test_sixteen_bits_are_scaled_and_not_cut_off():
    wide = RNG.integers(0, 65536, (6, 4), dtype=np.uint16)
    assert np.array_equal(values(saved(PIL.Image.fromarray(wide), "PNG"), 1), np.round(wide / 257))
    assert np.array_equal(values(PIL.Image.fromarray(wide.astype(np.int32)), 1), np.round(wide / 257))
    small = PIL.Image.fromarray(PIXELS[..., 0].astype(np.int32))
    assert np.array_equal(values(small, 1), PIXELS[..., 0])


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_dark_pictures_of_sixteen_bits_stay_dark(kind):
    dark = np.array([[0, 128, 129, 255]], np.uint16)
    if kind == "PPM":  # of which PIL makes integers of 32 bits
        picture = PIL.Image.open(io.BytesIO(b"P5 4 1 65535\n" + dark.astype(">u2").tobytes()))
    else:
        picture = saved(PIL.Image.fromarray(dark), kind)
    assert values(picture, 1).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("pixels", "numbers"),
    [
        (np.linspace(-3, 5, 24, dtype=np.float32), "from -3 to 5"),
        (np.full(24, 300, np.float32), "from 300 to 300"),
        (np.arange(24, dtype=np.int32) * 1_000_000, r"from 0 to 2.3e\+07"),
        (np.arange(-1, 23, dtype=np.int32), "from -1 to 22"),
    ],
)
def test_numbers_of_no_usual_scale_are_refused(pixels, numbers):
    with pytest.raises(BrokenPictureError, match=rf"holds numbers {numbers}, and nobody can tell which are black and"):
        values(PIL.Image.fromarray(pixels.reshape(6, 4)))


@pytest.mark.parametrize(("value", "byte"), [(0.5, 128), (1.0, 255), (7.0, 7), (254.6, 255)])
def test_floats_of_a_usual_scale_keep_their_brightness(value, byte):
    assert (values(PIL.Image.new("F", (2, 2), value)) == byte).all()


def test_a_float_file_is_as_bright_as_the_bytes_it_was_made_of(tmp_path):
    dark = PIXELS[:, :, 0] // 8
    for name, scale in (("unit.tiff", 255), ("bytes.tiff", 1)):
        PIL.Image.fromarray((dark / scale).astype(np.float32)).save(tmp_path / name)
        assert np.array_equal(values(tmp_path / name, 1), dark)


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
    with pytest.raises(BrokenPictureError, match="name too long"):
        read_picture("x" * 5000)
    with pytest.raises(ArgumentTypeError, match=r"a path or a PIL image, got 3 \(int\)"):
        read_picture(3)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = file_with(tmp_path / "secret.jpg", jpeg())
    path.chmod(0)
    with pytest.raises(BrokenPictureError, match="no permission"):
        read_picture(path)


def test_truncated_files_stay_broken_whatever_others_have_told_pil(tmp_path, monkeypatch):
    path = file_with(tmp_path / "cut.jpg", jpeg()[:-1000])
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    PIL.Image.open(path).load()  # PIL makes up the rest
    with pytest.raises(BrokenPictureError, match="truncated"):
        read_picture(path)
    with pytest.raises(BrokenPictureError, match="truncated"):
        check_picture(path)
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_readers_in_threads_are_strict_until_the_last_is_through(monkeypatch):
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    first, second = whole_files_only(), whole_files_only()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES is False
    second.__exit__(None, None, None)
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_quick_check_finds_what_reading_finds(tmp_path, mode, progressive):
    file = io.BytesIO()
    noise = RNG.integers(0, 256, (50, 70, len(mode) if mode != "L" else 1), dtype=np.uint8).squeeze()
    PIL.Image.fromarray(noise, mode).save(file, "JPEG", progressive=progressive)
    whole = file.getvalue()
    verdicts = set()
    for end in [*range(0, len(whole), len(whole) // 40), *range(len(whole) - 4, len(whole) + 1)]:
        path = file_with(tmp_path / "cut.jpg", whole[:end])
        verdicts.add(is_refused(read_picture, path))
        assert is_refused(check_picture, path) == is_refused(read_picture, path), end
    assert verdicts == {True, False}


def is_refused(read, path):
    try:
        read(path)
    except BrokenPictureError:
        return True
    return False


def test_the_quick_check_looks_at_values_too(tmp_path):
    PIL.Image.fromarray(np.array([[1, np.nan]], np.float32)).save(tmp_path / "nan.tiff")
    for read in (read_picture, check_picture):
        with pytest.raises(BrokenPictureError, match=r"nan.tiff' cannot be read: it holds .* \(NaN or infinity\)"):
            read(tmp_path / "nan.tiff")
    with pytest.raises(BrokenPictureError, match=r"^The picture cannot be read: it holds values"):
        read_picture(PIL.Image.open(tmp_path / "nan.tiff"))


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


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 99))
def test_crop_is_torchvisions_resize_and_center_crop(width, height, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(pixels)
    theirs = v2.CenterCrop(size)(v2.Resize(size)(picture))
    assert np.array_equal(PictureFormat(size)(picture), np.asarray(theirs).transpose(2, 0, 1))


def test_crop_and_pad_of_other_proportions_by_hand():
    picture = PIL.Image.fromarray(RNG.integers(1, 256, (30, 40, 3), dtype=np.uint8))  # 40 wide
    wide = np.asarray(picture.resize((20, 15), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(PictureFormat((5, 20))(picture), wide[5:10].transpose(2, 0, 1))
    padded = PictureFormat((21, 20), "pad")(picture)
    assert np.array_equal(padded[:, 3:18], wide.transpose(2, 0, 1))
    assert not padded[:, :3].any()
    assert not padded[:, 18:].any()


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
        ({"size": 8, "channels": 3.0}, ArgumentTypeError, "channels must be an integer, got 3.0"),
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
    assert names == ["a.png", "b.JPG", "link.png", "x" * 200 + ".png", "ünï çode 🐈.jpeg", "deeper/c.gif"]
    assert is_picture_file("a.webp")


def test_the_order_is_that_of_the_names_whatever_the_system_says(tmp_path, monkeypatch):
    for name in ("a/1.png", "a-1.png", "a0.png", "B.png", "a/b/1.png", "a.b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [os.path.relpath(file, tmp_path) for file in pictures_in(tmp_path)]
    assert found == ["B.png", "a-1.png", "a0.png", "a/1.png", "a/b/1.png", "a.b/1.png"]
    scandir = os.scandir

    @contextlib.contextmanager
    def backwards(folder):
        with scandir(folder) as entries:
            yield reversed(list(entries))

    monkeypatch.setattr(os, "scandir", backwards)
    assert [os.path.relpath(file, tmp_path) for file in pictures_in(tmp_path)] == found


def test_links_to_themselves_are_pictures_that_cannot_be_read(tmp_path):
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (file,) = pictures_in(tmp_path)
    with pytest.raises(BrokenPictureError, match=r"self.png' cannot be read"):
        read_picture(file)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=f"The folder {str(tmp_path)!r} cannot be read: Permission denied."):
        pictures_in(tmp_path)
