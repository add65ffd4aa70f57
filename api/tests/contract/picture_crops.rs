//! Crops in pixels of the picture, rotations, letterboxes, and the whole picture that a client shows in order to crop
//! (`docs/contracts/dropbox.md`, 3.7 and 4). The results are compared pixel by pixel.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::test_server::{FED, Login, TestServer, header};

/// Red, green, blue, alpha.
type Pixel = [u8; 4];

/// A picture as rows of pixels.
type Rows = Vec<Vec<Pixel>>;

const WIDTH: usize = 96;
const HEIGHT: usize = 32;
const LEFT: Pixel = [250, 0, 250, 255];
const RIGHT: Pixel = [0, 250, 250, 255];
const FIELDS: [Pixel; 4] = [[250, 0, 0, 255], [0, 250, 0, 255], [0, 0, 250, 255], [250, 250, 0, 255]];
const CLEAR: Pixel = [255, 255, 255, 0];

/// Three times as wide as high: four fields in the middle, and two sides that the centre square does not show.
fn picture() -> Rows {
    let pixel = |x: usize, y: usize| match x {
        0..32 => LEFT,
        64.. => RIGHT,
        _ => FIELDS[y / 16 * 2 + (x - 32) / 16],
    };
    (0..HEIGHT).map(|y| (0..WIDTH).map(|x| pixel(x, y)).collect()).collect()
}

/// The picture after this number of turns to the right.
fn turned(times: u32) -> Rows {
    let turn = |rows: Rows| {
        // The first column, read upwards, becomes the first row.
        (0..rows[0].len()).map(|x| rows.iter().rev().map(|row| row[x]).collect()).collect()
    };
    (0..times).fold(picture(), |rows, _| turn(rows))
}

fn part(rows: &Rows, [x, y, w, h]: [usize; 4]) -> Rows {
    rows[y..y + h].iter().map(|row| row[x..x + w].to_vec()).collect()
}

fn encode(rows: &Rows) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, rows[0].len() as u32, rows.len() as u32);
    encoder.set_color(png::ColorType::Rgba);
    let samples: Vec<u8> = rows.iter().flatten().flatten().copied().collect();
    encoder.write_header().unwrap().write_image_data(&samples).unwrap();
    file
}

async fn decode(response: Response) -> Rows {
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "image/png"));
    let file = response.bytes().await.unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut samples).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgba);
    samples.as_chunks::<4>().0.chunks(info.width as usize).map(<[Pixel]>::to_vec).collect()
}

/// Uploads a picture and returns its number.
async fn upload(user: &Login<'_>, name: &str, bytes: &[u8]) -> String {
    let response = user.upload(name, bytes).await;
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn show(user: &Login<'_>, id: &str, query: &str, accept: &str) -> Response {
    let path = format!("/api/dropbox/pictures/{id}{query}");
    user.request_without_csrf(Method::GET, &path).header("accept", accept).send().await.unwrap()
}

async fn rows(user: &Login<'_>, id: &str, query: &str) -> Rows {
    decode(show(user, id, query, "image/png").await).await
}

async fn crop(user: &Login<'_>, id: &str, form: &str) {
    let response = user.crop(id, form).await;
    assert_eq!(response.status(), 200, "{form}: {}", response.text().await.unwrap());
}

async fn status(user: &Login<'_>, id: &str) -> Value {
    user.get(&format!("/uploads/{id}")).await.json().await.unwrap()
}

async fn generation(server: &TestServer, id: &str) -> u32 {
    server.backends.records.upload(id.parse().unwrap()).await.unwrap().unwrap().generation
}

#[tokio::test]
async fn every_part_of_every_turned_picture_is_reached() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    for (times, rotate) in [(0, ""), (1, "&rotate=90"), (2, "&rotate=180"), (3, "&rotate=270")] {
        let turned = turned(times);
        let (width, height) = (turned[0].len(), turned.len());
        for (x, y) in [(0, 0), ((width - 32) / 2, (height - 32) / 2), (width - 32, height - 32)] {
            crop(&jane, &id, &format!("space=picture&x={x}&y={y}&w=32&h=32{rotate}")).await;
            let expected = part(&turned, [x, y, 32, 32]);
            assert_eq!(rows(&jane, &id, "?size=32").await, expected, "{rotate} at {x}, {y}");
            assert_eq!(rows(&jane, &id, "").await, expected, "{rotate} at {x}, {y}, own size");
        }
        // The numbers of the contract select parts of the centre square of the turned picture.
        crop(&jane, &id, &format!("x=0&y=0&w=256&h=256{rotate}")).await;
        let (left, top) = ((width - 32) / 2, (height - 32) / 2);
        assert_eq!(rows(&jane, &id, "?size=16").await, part(&turned, [left, top, 16, 16]), "{rotate}");
        // Without a part, the whole turned picture is shown.
        crop(&jane, &id, &format!("space=picture{rotate}")).await;
        assert_eq!(rows(&jane, &id, "").await, turned, "{rotate}");
        assert_eq!(rows(&jane, &id, "?size=32").await, part(&turned, [left, top, 32, 32]), "{rotate}");
    }
}

#[tokio::test]
async fn a_part_that_is_not_square_fills_the_square_or_lies_between_bars() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    crop(&jane, &id, "space=picture&x=0&y=0&w=64&h=32").await;
    assert_eq!(rows(&jane, &id, "?size=32").await, part(&picture(), [16, 0, 32, 32]), "the centre of the part");
    crop(&jane, &id, "space=picture&x=0&y=0&w=64&h=32&fit=contain").await;
    let bar = vec![vec![CLEAR; 64]; 16];
    let expected = [bar.clone(), part(&picture(), [0, 0, 64, 32]), bar].concat();
    assert_eq!(rows(&jane, &id, "?size=64").await, expected);
    assert_eq!(rows(&jane, &id, "").await, part(&picture(), [0, 0, 64, 32]), "the own size has no bars");

    crop(&jane, &id, "space=picture&fit=contain&rotate=90").await;
    for size in [512, 75, 25, 99] {
        let made = rows(&jane, &id, &format!("?size={size}")).await;
        assert_eq!((made.len(), made[0].len()), (size, size));
        // A third of the square is the picture, which stands upright now: its left side is above.
        let high = (size as f64 / 3.0).round() as usize;
        let left = (size - high) / 2;
        let clear = |x: usize| made.iter().all(|row| row[x] == CLEAR);
        let bars: Vec<bool> = (0..size).map(clear).collect();
        let expected: Vec<bool> = (0..size).map(|x| x < left || x >= left + high).collect();
        assert_eq!(bars, expected, "{size}");
        assert_eq!((made[size / 8][size / 2], made[size * 7 / 8][size / 2]), (LEFT, RIGHT), "{size}");
    }
    // The avatar is the same picture.
    let expected = rows(&jane, &id, "?size=75").await;
    assert_eq!(jane.claim("users/jane", &id).await.status(), 200);
    assert_eq!(decode(jane.get(&format!("/api/users/jane.{FED}/avatar?size=75")).await).await, expected);
}

#[tokio::test]
async fn bars_are_white_in_jpeg_and_a_jpeg_stays_one() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    let jpeg = show(&jane, &id, "", "image/jpeg").await.bytes().await.unwrap();
    let id = upload(&jane, "a.jpg", &jpeg).await;
    crop(&jane, &id, "space=picture&fit=contain").await;
    let made = show(&jane, &id, "?size=96", "*/*").await;
    assert_eq!(header(&made, "content-type"), "image/jpeg");
    let made = made.bytes().await.unwrap();
    let id = upload(&jane, "b.jpg", &made).await;
    let made = rows(&jane, &id, "").await;
    // The rows next to the picture have some of its colour, because a JPEG has colours at half size.
    let white = |rows: &[Vec<Pixel>]| rows.iter().flatten().all(|pixel| *pixel == [255; 4]);
    assert!(white(&made[..24]) && white(&made[72..]));
    let near = |pixel: Pixel, wanted: Pixel| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 24);
    assert!(near(made[48][8], LEFT) && near(made[48][88], RIGHT), "{:?} {:?}", made[48][8], made[48][88]);
}

/// The upright picture is the one that is cropped, whatever the file stores.
#[tokio::test]
async fn a_crop_is_of_the_upright_picture() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let mut made = Vec::new();
    for name in ["orientation-1.jpg", "orientation-6.jpg"] {
        let path = format!("{}/../crates/picture/tests/pictures/{name}", env!("CARGO_MANIFEST_DIR"));
        let id = upload(&jane, name, &std::fs::read(path).unwrap()).await;
        let status = status(&jane, &id).await;
        assert_eq!((&status["width"], &status["height"]), (&json!(75), &json!(49)), "{name}");
        crop(&jane, &id, "space=picture&x=10&y=40&w=30&h=20&rotate=270").await;
        let rows = rows(&jane, &id, "").await;
        assert_eq!((rows[0].len(), rows.len()), (30, 20), "{name}");
        made.push(rows.concat().concat());
    }
    // The two files differ by compression only. Two parts of the picture differ by more than 20.
    let difference: u32 = made[0].iter().zip(&made[1]).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let mean = f64::from(difference) / made[0].len() as f64;
    assert!(mean < 5.0, "{mean:.1}");
}

#[tokio::test]
async fn invalid_fields_are_refused_by_code() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    for form in [
        "space=picture&x=0&y=0&w=1",
        "space=picture&x=96&y=0&w=1&h=1",
        "space=picture&x=0&y=32&w=1&h=1",
        "space=picture&x=32&y=0&w=1&h=1&rotate=90",
        "space=picture&x=0&y=0&w=0&h=1",
        "space=pixels",
        "space=square",
        "space=picture&rotate=45",
        "space=picture&fit=fill",
        "rotate=90",
    ] {
        let request = jane
            .request(Method::PUT, &format!("/api/dropbox/pictures/{id}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/problem+json")
            .body(form);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{form}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "bad_crop", "{form}");
    }
    assert_eq!(generation(&server, &id).await, 0);
}

#[tokio::test]
async fn the_status_shows_the_crop_and_sending_it_again_changes_nothing() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    let whole = json!({"space": "picture", "x": 0, "y": 0, "w": 96, "h": 32, "rotate": 0, "fit": "cover"});
    assert_eq!(status(&jane, &id).await["crop"], whole);
    for (form, shown) in [
        ("x=0&y=0&w=512&h=512", whole.clone()),
        ("space=picture&x=-3&y=0&w=999&h=32", whole.clone()),
        ("x=1&y=2&w=3.4&h=4", json!({"space": "square", "x": 1, "y": 2, "w": 3, "h": 4, "rotate": 0, "fit": "cover"})),
        (
            "space=picture&x=1&y=2&w=3&h=4",
            json!({"space": "picture", "x": 1, "y": 2, "w": 3, "h": 4, "rotate": 0, "fit": "cover"}),
        ),
        (
            "space=picture&x=1&y=2&w=3&h=4&rotate=90",
            json!({"space": "picture", "x": 1, "y": 2, "w": 3, "h": 4, "rotate": 90, "fit": "cover"}),
        ),
        (
            "space=picture&rotate=90&fit=contain",
            json!({"space": "picture", "x": 0, "y": 0, "w": 32, "h": 96, "rotate": 90, "fit": "contain"}),
        ),
        ("space=picture", whole.clone()),
    ] {
        crop(&jane, &id, form).await;
        let found = status(&jane, &id).await["crop"].clone();
        assert_eq!(found, shown, "{form}");
        let before = generation(&server, &id).await;
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let fields = found.as_object().unwrap().iter().map(|(key, value)| format!("{key}={}", text(value)));
        crop(&jane, &id, &fields.collect::<Vec<_>>().join("&")).await;
        assert_eq!(generation(&server, &id).await, before, "{form}");
    }
    // The first two showed the whole picture, as before. Each of the others is another crop.
    assert_eq!(generation(&server, &id).await, 5);
}

#[tokio::test]
async fn a_crop_holds_only_under_its_condition() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    let tag = header(&show(&jane, &id, "?size=75", "*/*").await, "etag").to_owned();
    let crop = async |form: &'static str| {
        let request = jane.request(Method::PUT, &format!("/api/dropbox/pictures/{id}")).header("if-match", &tag);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(crop("space=picture&rotate=90").await, 200);
    assert_eq!(crop("space=picture&rotate=180").await, 412);
    assert_eq!(crop("space=picture&rotate=90&fit=contain").await, 412);
    assert_eq!(crop("space=picture&rotate=90").await, 200, "it was made before");
}

#[tokio::test]
async fn the_whole_picture_is_shown_whatever_the_crop() {
    let server = TestServer::new().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    crop(&jane, &id, "space=picture&x=0&y=0&w=9&h=9&rotate=90").await;
    let whole = show(&jane, &id, "?size=512&space=picture", "image/png").await;
    let tag = header(&whole, "etag").to_owned();
    assert_eq!(header(&whole, "cache-control"), "private, no-cache");
    assert_eq!(decode(whole).await, picture(), "never scaled up");
    assert_eq!(rows(&jane, &id, "?space=picture").await, picture(), "its own size");
    let small = rows(&admin, &id, "?size=48&space=picture").await;
    assert_eq!((small[0].len(), small.len()), (48, 16));
    assert_eq!((small[8][4], small[8][44]), (LEFT, RIGHT));
    assert_eq!(rows(&jane, &id, "?size=9&space=square").await, part(&turned(1), [0, 0, 9, 9]));

    // One variant serves all crops.
    crop(&jane, &id, "x=0&y=0&w=512&h=512").await;
    let again = show(&jane, &id, "?size=512&space=picture", "image/png").await;
    assert_eq!(header(&again, "etag"), tag);
    assert!(status(&jane, &id).await["variants"].as_array().unwrap().is_empty(), "nothing was made after the crop");

    for query in ["?space=", "?space=Picture&size=75"] {
        let response = show(&jane, &id, query, "application/problem+json").await;
        assert_eq!(response.status(), 400, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "bad_query", "{query}");
    }
    let path = format!("/api/dropbox/pictures/{id}?size=512&space=picture");
    assert_eq!(joe.get(&path).await.status(), 404);
    assert_eq!(server.anonymous(Method::GET, &path).send().await.unwrap().status(), 401);
    assert_eq!(jane.claim("users/jane", &id).await.status(), 200);
    assert_eq!(jane.get(&path).await.status(), 404);
}

#[tokio::test]
async fn sizes_of_the_whole_picture_are_counted_and_listed() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = upload(&jane, "a.png", &encode(&picture())).await;
    for size in 1..=24 {
        assert_eq!(show(&jane, &id, &format!("?size={size}&space=picture"), "*/*").await.status(), 200, "{size}");
    }
    assert_eq!(show(&jane, &id, "?size=26&space=picture", "*/*").await.status(), 422);
    assert_eq!(show(&jane, &id, "?size=512&space=picture", "*/*").await.status(), 200, "a usual size is not counted");
    let address = |status: &Value| -> Vec<String> {
        let variants = status["variants"].as_array().unwrap();
        let named = variants.iter().filter(|variant| variant["name"] == "fit512.png");
        named.map(|variant| variant["href"].as_str().unwrap().to_owned()).collect()
    };
    let shown = address(&status(&jane, &id).await);
    assert_eq!(shown, [format!("/api/dropbox/pictures/{id}?size=512&space=picture")]);
    assert_eq!(decode(jane.get(&shown[0]).await).await, picture());
    assert_eq!(jane.claim("users/jane", &id).await.status(), 200);
    assert!(address(&status(&jane, &id).await).is_empty(), "an avatar shows no whole picture");
}
