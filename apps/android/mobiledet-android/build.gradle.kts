plugins {
    `maven-publish`
    alias(libs.plugins.android.library)
}

description = "Object detection on Android with mobiledet bundles: LiteRT, camera2, a camera view with boxes"

android {
    namespace = "dev.mobiledet.android"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }

    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }

    testOptions {
        unitTests {
            isIncludeAndroidResources = true
            all { it.systemProperty("mobiledet.testdata", rootDir.resolve("../testdata").canonicalPath) }
        }
    }
}

kotlin {
    explicitApi()
}

dependencies {
    api(project(":mobiledet-core"))
    implementation(libs.litert)
    api(libs.litert.api) // delegates are registered through it
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}

publishing {
    publications.register<MavenPublication>("maven") { afterEvaluate { from(components["release"]) } }
}
