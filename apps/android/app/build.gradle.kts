plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "dev.mobiledet.app"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "dev.mobiledet.app"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 2
        versionName = "0.2.0"
        // phones, and emulators on computers; the processors of 32 bits are those of phones of before 2016
        ndk.abiFilters += listOf("arm64-v8a", "x86_64")
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    androidResources {
        noCompress += "mobiledet" // weights hardly shrink
    }

    testOptions.unitTests.isIncludeAndroidResources = true
}

dependencies {
    implementation(project(":mobiledet-android"))
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
